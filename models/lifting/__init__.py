"""From keypoints to 3D joints."""
