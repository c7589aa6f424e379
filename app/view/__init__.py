"""The viewer's window: on the left the camera's picture with 2D keypoints, on the right the 3D scene; live or from a recording.

Everything but the last step knows neither window nor OpenGL: `controller.py` decides what is shown, `hud.py` what is written, `geometry.py`
which shapes are drawn, `orbit_camera.py` from where. `renderer.py` draws that with the OpenGL programs in `drawing/`; `window.py` is the
window itself.
"""
