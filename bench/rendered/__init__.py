"""A proxy for real video: rendered people, whose joints are known, through poselift and through MediaPipe. `python -m bench.rendered`."""
