"""People's keypoints in pictures."""
