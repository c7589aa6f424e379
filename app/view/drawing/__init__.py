"""OpenGL programs, each of which draws everything of one kind in one call. They need a current context, and know nothing of poses.

Positions are in px from the window's top left corner, unless stated otherwise. A depth is the distance along the camera's view, metres.
"""
