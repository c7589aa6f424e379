"""A lifter that asks its network twice: of the person and of their mirror image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from random_lifter import WITH_FEET, random_lifter

from poselift.common.errors import ModelError
from poselift.common.people import People2D
from poselift.common.skeleton import JOINT_MIRROR, KEYPOINT_MIRROR
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.lifter_metadata import LifterMetadata
from poselift.models.lifting.person_camera import FEATURES

WIDTH, HEIGHT = 640, 480
FACTS = {"rate_hz": "30", "normalisation": "person_camera", **WITH_FEET}


def open_lifter(folder: Path, flip: str, slots: int = 2, **changed: Any) -> Lifter:
    path = folder / f"{flip}.onnx"
    weights = random_lifter((3, 3), 32, FEATURES[21], outputs=63, spread=True, contact=True)._replace(**changed)
    onnx.save(build(weights, {**FACTS, "flip": flip}), str(path))
    return Lifter(open_model(path), slots=slots, filtered=False)


def walk(frames: int = 40, people: int = 2) -> np.ndarray:
    """Keypoints [T, K, 21, 3] that wander about."""
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 2, (frames, people, 21, 2)).cumsum(0)
    points = rng.uniform(100, 400, (1, people, 21, 2)) + steps
    return np.concatenate([points, rng.uniform(0.5, 1, (frames, people, 21, 1))], -1).astype(np.float32)


def lifted(lifter: Lifter, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    people = [
        lifter.step(round(t * 1e9 / 30), People2D(range(frames.shape[1]), keypoints), (WIDTH, HEIGHT)) for t, keypoints in enumerate(frames)
    ]
    return np.array([of.joints_m for of in people]), np.array([of.sigma_m for of in people])


def in_a_mirror(frames: np.ndarray) -> np.ndarray:
    mirrored = frames[:, :, KEYPOINT_MIRROR].copy()
    mirrored[..., 0] = WIDTH - mirrored[..., 0]
    return mirrored


def test_the_pose_is_the_mean_of_both(tmp_path: Path) -> None:
    frames = walk()
    once = [lifted(open_lifter(tmp_path, "no"), each) for each in (frames, in_a_mirror(frames))]
    twice = lifted(open_lifter(tmp_path, "yes"), frames)
    back = once[1][0][:, :, JOINT_MIRROR] * (-1, 1, 1)
    assert np.abs(once[0][0] - back).max() > 0.05
    np.testing.assert_allclose(twice[0], (once[0][0] + back) / 2, atol=1e-5)
    larger, smaller = (pick(once[0][1], once[1][1][:, :, JOINT_MIRROR]) for pick in (np.maximum, np.minimum))
    assert ((smaller - 0.02 < twice[1]) & (twice[1] < larger + 0.02)).mean() > 0.95  # but for what the height adds


def test_a_person_and_their_mirror_image_are_lifted_alike(tmp_path: Path) -> None:
    frames = walk()
    person, mirrored = (lifted(open_lifter(tmp_path, "yes"), each)[0] for each in (frames, in_a_mirror(frames)))
    np.testing.assert_allclose(mirrored, person[:, :, JOINT_MIRROR] * (-1, 1, 1), atol=1e-5)


def test_contact_is_what_the_mean_of_both_logits_says(tmp_path: Path) -> None:
    says = {"contact_weight": np.zeros((32, 4), np.float32), "contact_bias": np.array([3, 1, -2, -4], np.float32)}
    (once,), (twice,) = (
        open_lifter(tmp_path, flip, 1, **says).step(0, People2D([1], walk(1, 1)[0]), (WIDTH, HEIGHT)).contact for flip in ("no", "yes")
    )
    assert once.tolist() == [True, True, False, False]
    assert twice.tolist() == [True, False, True, False]


def test_a_file_says_yes_or_no() -> None:
    assert not LifterMetadata.read({**FACTS, "receptive_field": "27"}).flip
    with pytest.raises(ModelError, match="flip = 'perhaps'; yes or no is needed"):
        LifterMetadata.read({**FACTS, "receptive_field": "27", "flip": "perhaps"})
