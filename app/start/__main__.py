"""The `poselift` command for processes that poselift starts: Python is given this folder, so nothing of the current one is on its path.

`python -m poselift` would have the current folder there first, and a user's `yaml.py` or `types.py` with it.
"""

from poselift.app.cli import main

main()
