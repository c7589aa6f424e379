"""Thin OpenGL programs, each of which draws everything of one kind in one call. They need a current context, and know nothing of poses.

Places are in px of the window, from its top left corner, unless they say otherwise.
"""
