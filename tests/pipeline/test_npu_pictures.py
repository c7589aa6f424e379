"""On the (simulated) NPU, BlazePose's networks see in the demo clip what they see on the CPU, given the same regions to look at."""

from __future__ import annotations

from contextlib import closing

import cv2
import numpy as np
import pytest

from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models.backends.backend import Model, open_model
from poselift.models.detection import blazepose_landmarks, blazepose_person
from poselift.models.detection.blazepose import BlazePose
from poselift.models.detection.blazepose_landmarks import decode
from poselift.models.detection.blazepose_regions import transform
from poselift.models.store import path_of

EVERY = 4
"""Of the regions that BlazePose looks at, those that are compared."""
SEEN = 0.5
"""Confidence from which a keypoint, and probability from which a person, counts as seen."""
KEYPOINT_PX = 0.5


class Witness:
    """A network that keeps what it was given."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.inputs, self.outputs = model.inputs, model.outputs
        self.given: list[np.ndarray] = []

    def run(self, tensors):
        self.given.append(tensors["picture"].copy())
        return self._model.run(tensors)


@pytest.fixture(scope="module")
def looked_at(exact_npu_networks) -> tuple[dict[str, list[np.ndarray]], list[np.ndarray]]:
    """What BlazePose gives its two networks in the demo clip, and where in the picture the landmark network's input lies."""
    matrices = []
    with pytest.MonkeyPatch.context() as patch:

        def noted(region, size):
            matrix = to_picture(region, size)
            if size == blazepose_landmarks.INPUT_SIZE:
                matrices.append(matrix)
            return matrix

        to_picture = blazepose_person.to_picture
        patch.setattr(blazepose_person, "to_picture", noted)
        names = ("blazepose_detector", "blazepose_landmarks")
        detector, landmarks = (Witness(open_model(path_of(name))) for name in names)
        people, capture = BlazePose(detector, landmarks), cv2.VideoCapture(str(path_of("demo_clip")))
        state, number, (there, picture) = None, 0, capture.read()
        while there:
            state, _ = people.step(state, picture, number)
            number, (there, picture) = number + 1, capture.read()
    assert len(landmarks.given) == len(matrices) > 200
    return {"blazepose_detector": detector.given, "blazepose_landmarks": landmarks.given[::EVERY]}, matrices[::EVERY]


def answers(path, pictures):
    with closing(open_model(path)) as model:
        return [model.run({"picture": picture}) for picture in pictures]


@pytest.mark.parametrize("name", ["blazepose_detector", "blazepose_landmarks"])
def test_in_single_precision_the_answers_are_the_same(npu, looked_at, exact_npu_networks, name):
    given = looked_at[0][name][:6]
    for expected, found in zip(answers(path_of(name), given), answers(exact_npu_networks / f"{name}.om", given)):
        assert expected.keys() == found.keys()
        for output in expected:
            span = float(np.ptp(expected[output])) + 1e-3
            np.testing.assert_allclose(found[output], expected[output], atol=1e-4 * span)


def test_in_half_precision_nine_of_ten_seen_keypoints_are_within_half_a_pixel_and_three_of_four_of_the_feet(npu, looked_at, npu_networks):
    given, matrices = looked_at[0]["blazepose_landmarks"], looked_at[1]
    distances_px, of_feet_px = [], []
    pairs = zip(answers(path_of("blazepose_landmarks"), given), answers(npu_networks / "blazepose_landmarks.om", given), matrices)
    for expected, found, matrix in pairs:
        assert abs(expected["flag"] - found["flag"]) < 0.05
        if expected["flag"] < SEEN:
            continue
        (one, confidence, _), (other, *_) = decode(expected), decode(found)
        apart = np.linalg.norm(transform(one, matrix) - transform(other, matrix), axis=-1)
        seen, body = np.flatnonzero(confidence >= SEEN), len(COCO_KEYPOINTS)
        distances_px.extend(apart[seen[seen < body]])
        of_feet_px.extend(apart[seen[seen >= body]])
    assert np.median(distances_px) < 0.1
    assert np.mean(np.array(distances_px) <= KEYPOINT_PX) > 0.9
    assert np.median(of_feet_px) < 0.1
    assert np.mean(np.array(of_feet_px) <= KEYPOINT_PX) > 0.75
