"""2D keypoints in files."""
