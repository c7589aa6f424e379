"""BlazePose with its real networks on the demo clip."""

from __future__ import annotations

import numpy as np
from demo_clip import FRAME_NS, blazepose, pictures, pulled


def test_the_person_is_seen_in_nearly_every_frame():
    detector = blazepose()
    confidence, ids = [], set()
    for frame, picture in enumerate(pictures(pulled("demo_clip"))):
        if frame % 2 == 0:
            people = detector.step(picture, frame * FRAME_NS)
            confidence.append(people.keypoints[0, :, 2].mean() if len(people.person) else 0.0)
            ids.update(people.person.tolist())
    assert len(confidence) == 115
    assert np.mean(np.array(confidence) > 0.5) >= 0.95
    assert len(ids) <= 4, "two people take turns at being followed: the man on the roof, and the woman who walks by while he falls"
