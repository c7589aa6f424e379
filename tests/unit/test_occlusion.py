"""A hidden keypoint is guessed where it probably is, from those that are seen, and for a while only."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from poselift.models.lifting.occlusion import GUESS_CONFIDENCE, JITTER, MAX_GUESS_S, OcclusionFiller
from poselift.models.training.comovement import FILE, comovement
from poselift.models.training.motion import load_motion

SHARED = Path(os.environ.get("POSELIFT_SHARED", Path(__file__).parents[3] / "shared"))
CMU = SHARED / "data" / "mocap"
ANKLES = [15, 16]
TOGETHER = np.loadtxt(FILE, delimiter=",")
KNOWN = len(TOGETHER)


def somebody(seed: int = 0) -> np.ndarray:
    """Keypoints [N, 3]."""
    return np.random.default_rng(seed).uniform((100, 100, 0.5), (300, 500, 1), (KNOWN, 3)).astype(np.float32)


def without(keypoints: np.ndarray, *missing: int) -> np.ndarray:
    spoilt = keypoints.copy()
    spoilt[list(missing)] = 0
    return spoilt


def test_who_is_seen_whole_is_left_alone() -> None:
    filler = OcclusionFiller()
    for t_ns in range(3):
        np.testing.assert_array_equal(filler.fill(t_ns, somebody(t_ns)), somebody(t_ns))


def test_it_moves_along_with_the_body() -> None:
    filler, moved = OcclusionFiller(), somebody() + np.array([40, -20, 0], np.float32)
    filler.fill(0, somebody())
    guessed = filler.fill(1, without(moved, *ANKLES))
    np.testing.assert_allclose(guessed[ANKLES, :2], moved[ANKLES, :2], atol=6)
    np.testing.assert_array_equal(guessed[ANKLES, 2], [GUESS_CONFIDENCE, GUESS_CONFIDENCE])
    np.testing.assert_array_equal(np.delete(guessed, ANKLES, 0), np.delete(moved, ANKLES, 0))


def test_the_guess_is_the_regression_on_those_who_are_seen() -> None:
    """Against least squares on moves drawn with that covariance, seen as a detector that trembles sees them."""
    rng = np.random.default_rng(1)
    moves = rng.multivariate_normal(np.zeros(KNOWN), TOGETHER, 400_000, method="eigh")
    seen = [0, 5, 6, 11, 13]
    shares, *_ = np.linalg.lstsq(moves[:, seen] + JITTER * rng.normal(size=(400_000, 5)), moves[:, 12], rcond=None)
    filler, first = OcclusionFiller(), without(somebody(), *(set(range(KNOWN)) - {*seen, 12}))
    filler.fill(0, first)
    then = first + np.where(first[:, 2:] > 0, np.c_[rng.normal(0, 30, (KNOWN, 2)), np.zeros(KNOWN)], 0).astype(np.float32)
    expected = first[12, :2] + shares @ (then - first)[seen, :2]
    np.testing.assert_allclose(filler.fill(1, without(then, 12))[12, :2], expected, atol=0.7)


def test_each_is_compared_with_the_moment_when_it_was_seen_last() -> None:
    filler = OcclusionFiller()
    steps = [somebody() + np.array([10.0 * t, 0, 0], np.float32) for t in range(4)]
    filler.fill(0, steps[0])
    filler.fill(1, without(steps[1], 15))
    guessed = filler.fill(2, without(steps[2], 15, 9))
    np.testing.assert_allclose(guessed[[15, 9], 0], steps[2][[15, 9], 0], atol=4)
    found = filler.fill(3, without(steps[3], 9))
    np.testing.assert_array_equal(found[15], steps[3][15])


def test_it_is_given_up_after_a_while_and_never_made_up() -> None:
    filler = OcclusionFiller()
    assert filler.fill(0, without(somebody(), 3))[3, 2] == 0
    filler.fill(1, somebody())
    last_ns = 1 + round(MAX_GUESS_S * 1e9)
    assert filler.fill(last_ns, without(somebody(), 3))[3, 2] == GUESS_CONFIDENCE
    assert filler.fill(last_ns + 1, without(somebody(), 3))[3, 2] == 0


def test_what_the_covariance_does_not_have_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poselift.models.lifting.occlusion._covariance", lambda: TOGETHER[:13, :13])
    filler = OcclusionFiller()
    filler.fill(0, somebody())
    moved = without(somebody(1), 9, 15)
    guessed = filler.fill(1, moved)
    assert guessed[9, 2] == GUESS_CONFIDENCE
    np.testing.assert_array_equal(guessed[13:], moved[13:])


def test_with_nobody_to_tell_it_stays() -> None:
    filler = OcclusionFiller()
    filler.fill(0, without(somebody(), *range(1, KNOWN)))
    guessed = filler.fill(1, without(somebody(1), 0))
    np.testing.assert_allclose(guessed[0, :2], somebody()[0, :2])
    assert np.isfinite(guessed).all()


@pytest.mark.skipif(not CMU.is_dir(), reason=f"the motion capture is not here: {CMU}")
def test_the_file_is_what_the_command_makes() -> None:
    np.testing.assert_allclose(TOGETHER, comovement(load_motion(CMU, "train")), atol=1e-7)
