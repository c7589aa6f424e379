"""The viewer's window: left the picture with 2D keypoints, right the 3D scene, live or from a recording.

Pure parts first (no window, no OpenGL): what is shown when, where people stand, how a camera sees them, what the lines of text say.
`drawing/` holds thin OpenGL programs, `window.py` the window itself.
"""
