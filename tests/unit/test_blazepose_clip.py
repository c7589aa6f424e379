"""BlazePose with its real networks on the demo clip."""

from __future__ import annotations

from itertools import islice

import numpy as np
from demo_clip import blazepose, moments, pulled

from models.detection.detector import follow


def test_the_person_is_seen_in_nearly_every_frame():
    confidence, ids = [], set()
    for people in follow(blazepose(), islice(moments(pulled("demo_clip")), 0, None, 2)):
        confidence.append(people.keypoints[0, :, 2].mean() if len(people.person) else 0.0)
        ids.update(people.person.tolist())
    assert len(confidence) == 115
    assert np.mean(np.array(confidence) > 0.5) >= 0.95
    assert len(ids) <= 4, "two people take turns at being followed: the man on the roof, and the woman who walks by while he falls"
