"""Starts poselift by this folder's path: see `__main__.py`."""
