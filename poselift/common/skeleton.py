"""The joints as data: COCO's 17 keypoints and those of the feet go in, Human3.6M's 17 joints and those of the feet come out.

Every array of keypoints or joints in the project follows these two orders, KEYPOINTS and JOINTS. Their first 17 are COCO's and
Human3.6M's, for data and networks that have no feet.
"""

from __future__ import annotations

COCO_KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""Names of the 17 COCO keypoints, in the order of every `keypoints` array; left is the person's own left."""

FEET = ("left_heel", "left_toe", "right_heel", "right_toe")
"""What follows the 17, in keypoints as in joints. A heel is the rearmost point of the foot, a toe the foremost point of the big toe."""

KEYPOINTS = (*COCO_KEYPOINTS, *FEET)
"""The 21 keypoints."""

COCO_BONES = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
    (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
"""Pairs of keypoints that a drawing joins."""

COCO_MIRROR = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""For each keypoint, its counterpart on the other side."""

KEYPOINT_BONES = (*COCO_BONES, (15, 17), (17, 18), (15, 18), (16, 19), (19, 20), (16, 20))
"""The same of all 21."""

KEYPOINT_MIRROR = (*COCO_MIRROR, 19, 20, 17, 18)
"""The same of all 21."""

H36M_JOINTS = (
    "hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "spine", "thorax", "neck", "head",
    "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
"""Names of the 17 Human3.6M joints, in the order of every `joints_m` array; joint 0 is the root."""

JOINTS = (*H36M_JOINTS, *FEET)
"""The 21 joints."""

H36M_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
"""For each joint, the joint it hangs from; -1 at the root."""

PARENTS = (*H36M_PARENTS, 6, 6, 3, 3)
"""The same of all 21: heels and toes hang from their ankles."""

BODY_HEIGHT_M = 1.7
"""From the soles to the top of the head, where nobody says it."""

H36M_MIRROR = (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13)
"""For each joint, its counterpart on the other side."""

JOINT_MIRROR = (*H36M_MIRROR, 19, 20, 17, 18)
"""The same of all 21."""
