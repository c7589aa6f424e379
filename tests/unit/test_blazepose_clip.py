"""BlazePose with its real networks on the demo clip."""

from __future__ import annotations

from itertools import islice

import cv2
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


def test_pictures_of_two_sizes_in_turn_are_as_good_as_one():
    stream = list(islice(moments(pulled("demo_clip")), 10, 50))
    resized = [(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), t_ns) for picture, t_ns in stream]
    plain = list(follow(blazepose(), stream))
    mixed = list(follow(blazepose(), [pair[n % 2] for n, pair in enumerate(zip(stream, resized))]))
    assert [len(people.person) for people in mixed] == [len(people.person) for people in plain]
    away = []
    for number, (one, other) in enumerate(zip(plain, mixed)):
        if len(one.person):
            away_px = np.linalg.norm((other.keypoints[0, :, :2] + 0.5) * (1, 2)[number % 2] - 0.5 - one.keypoints[0, :, :2], axis=1)
            away.append(away_px.mean() / np.ptp(one.keypoints[0, :, 1]))
    assert np.median(away) < 0.01
    assert np.mean(np.array(away) < 0.1) > 0.95, "a limb that is hidden jumps by a grain of noise as well"
    assert len({people.person.tolist()[0] for people in mixed if len(people.person)}) == 1
