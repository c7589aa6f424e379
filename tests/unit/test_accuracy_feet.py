"""What `make accuracy` says of feet, on steps that are made up: two feet that stand in turn while the body goes on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bench.accuracy.feet import Figures, Told, figures, goals, slide_mm, stances
from bench.accuracy.judge import Steps

JUDGE = SimpleNamespace(feet_errors=lambda truth_m, found_m: np.full((2, len(truth_m)), 7.0))
FRAMES = 60


def walk() -> Steps:
    """The left foot stands for a second, then the right one; all else goes on at 1 m/s."""
    ahead_m = np.arange(FRAMES) / 30
    joints_m = np.random.default_rng(0).normal(0, 0.4, (21, 3)) + np.zeros((FRAMES, 1, 1))
    joints_m[..., 2] += 5 + ahead_m[:, None]
    contact = np.zeros((FRAMES, 4), bool)
    contact[:30, :2] = contact[30:, 2:] = True
    for stance, feet in ((slice(0, 30), slice(17, 19)), (slice(30, 60), slice(19, 21))):
        joints_m[stance, feet] = joints_m[stance.start, feet]
    return Steps("made up", joints_m, contact, {}, 640, 480)


def told(clip: Steps, scale: float = 1.0) -> Told:
    return Told(scale * (clip.joints_m - clip.joints_m[:, :1]), scale * clip.joints_m[:, 0], clip.contact)


def test_what_is_right_but_for_its_size_has_still_feet_and_every_contact() -> None:
    found = figures(JUDGE, [walk()], [told(walk(), 1.3)])
    assert found.ankles_mm < 1e-6 and found.on_true_root_mm < 1e-6 and found.on_root_m_mm < 1e-6
    assert (found.feet_mm, found.against_leg_mm, found.f1) == (7, 7, 1)


def test_a_foot_that_goes_along_with_the_root_slides_and_a_root_that_trembles_moves_it() -> None:
    clip = walk()
    glides = told(clip)
    glides.joints_m[:, 17:] = glides.joints_m[0, 17:]
    slid_mm = 1000 * np.std(np.arange(30) / 30)
    assert figures(JUDGE, [clip], [glides]).on_true_root_mm == pytest.approx(slid_mm, rel=1e-6)
    trembles = told(clip)._replace(root_m=clip.joints_m[:, 0] + 0.01 * (-1.0) ** np.arange(FRAMES)[:, None] * [1, 0, 0])
    found = figures(JUDGE, [clip], [trembles])
    assert found.on_root_m_mm == pytest.approx(10, rel=1e-6) and found.on_true_root_mm < 1e-6


def test_contact_that_is_missed_and_made_up_counts_alike() -> None:
    clip = walk()
    said = clip.contact.copy()
    said[:15, 0], said[30:45, 0] = False, True
    assert figures(JUDGE, [clip], [told(clip)._replace(contact=said)]).f1 == pytest.approx(2 * 105 / (2 * 105 + 30))


def test_short_contacts_do_not_count() -> None:
    contact = np.array([*[True] * 9, False, *[True] * 10])
    assert stances(contact) == [slice(10, 20)]
    clip = walk()._replace(contact=np.zeros((FRAMES, 4), bool))
    assert np.isnan(slide_mm([clip], [clip.joints_m]))


def test_every_goal_is_met_or_missed_by_its_own_figure() -> None:
    good = Figures(115, 100, 20, 0.85, 15, 15)
    assert [goal.met for goal in goals(good, good)] == [True] * 4
    assert [goal.met for goal in goals(good._replace(feet_mm=116), good)] == [False, True, True, True]
    assert [goal.met for goal in goals(good._replace(f1=0.84), good)] == [True, False, True, True]
    assert [goal.met for goal in goals(good, good._replace(on_true_root_mm=15.1))] == [True, True, False, True]
    assert [goal.met for goal in goals(good, good._replace(on_root_m_mm=15.1))] == [True, True, True, False]
