"""People in the viewer's scene and over its picture: places, solids, trails, colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.people import GROUND_M, pose_at
from poselift.app.dataflow.messages import Pose3D
from poselift.app.export.placement import APART_M, UNKNOWN_PLACE_M
from poselift.app.view.colours import CONTACT, HELD, PEOPLE, colour_of
from poselift.app.view.geometry import TRAIL_S, TRAILING, body_solids, frustum, ground_m_below, joint_marks, person_colours, trails
from poselift.app.view.orbit_camera import Rect
from poselift.app.view.overlay import in_panel, overlay
from poselift.app.view.placement import Placement

LIMBS = 22
"""Of each person: the head, four of the trunk, three of each arm, and of each leg three and three of the foot."""


def placed(pose: Pose3D) -> np.ndarray:
    return Placement().place([pose])[0]


def row(frames: int, people: int = 2) -> list[Pose3D]:
    return [pose_at(frame, people) for frame in range(frames)]


def test_people_stand_where_their_roots_are_and_feet_on_the_ground() -> None:
    pose = pose_at(5, 4)
    np.testing.assert_allclose(placed(pose), pose.joints_m + pose.root_m[:, None], atol=1e-5)
    assert ground_m_below(placed(pose)) == pytest.approx(GROUND_M, abs=0.05)


def test_people_whose_place_is_not_known_stand_side_by_side() -> None:
    pose = replace(pose_at(5, 3), root_m=np.full((3, 3), np.nan, np.float32))
    roots = placed(pose)[:, 0]
    np.testing.assert_allclose(roots, np.array(UNKNOWN_PLACE_M) + np.arange(3)[:, None] * (APART_M, 0, 0), atol=1e-6)


def test_a_trembling_distance_is_calmed_along_the_line_of_sight_alone() -> None:
    rng = np.random.default_rng(0)
    still = pose_at(0, 1).root_m[0]
    poses = [replace(pose, root_m=(still * (1 + 0.1 * rng.normal()))[None].astype(np.float32)) for pose in row(90, 1)]
    roots = np.array([joints[0, 0] for joints in Placement().place(poses)])
    raw = np.array([pose.root_m[0] for pose in poses])
    assert roots[30:, 2].std() < 0.4 * raw[30:, 2].std()
    np.testing.assert_allclose(roots[:, :2] / roots[:, 2:], raw[:, :2] / raw[:, 2:], atol=1e-5)


def test_placement_does_not_depend_on_how_often_they_are_asked_for() -> None:
    poses, placement = row(40), Placement()
    once = Placement().place(poses)
    for _ in range(3):
        again = placement.place(poses)
    np.testing.assert_array_equal(np.array(once), np.array(again))


def test_every_limb_of_everybody_is_a_solid_in_their_colour() -> None:
    pose = pose_at(3, 4)
    solids = body_solids(pose, placed(pose), person_colours(pose, stale=False))
    assert len(solids.start) == 4 * LIMBS and solids.colour.shape == (4 * LIMBS, 4)
    for person in range(4):
        of_person = solids.colour[LIMBS * person : LIMBS * (person + 1), :3]
        nearest = [int(np.argmin(np.linalg.norm(np.array(PEOPLE[:4]) - shade, axis=-1))) for shade in of_person]
        assert np.bincount(nearest).argmax() == person
    assert (solids.radii > 0.02).all() and (solids.radii < 0.15).all()


def test_who_is_not_seen_and_what_is_old_is_grey() -> None:
    pose = replace(pose_at(3, 2), held=np.array([True, False]))
    first, second = person_colours(pose, stale=False)
    assert np.abs(first - HELD).max() < 0.05 and np.abs(second - colour_of(1)).max() < 1e-6
    assert np.abs(person_colours(pose, stale=True) - HELD).max() < 0.05


def test_the_less_sure_a_joint_is_the_wider_its_halo_and_the_darker_its_core() -> None:
    pose = pose_at(3, 1)
    sigma, confidence = pose.sigma_m.copy(), pose.confidence.copy()
    sigma[0, 13], confidence[0, 13], confidence[0, 16] = 0.2, 0.1, 1.0
    marks = joint_marks(replace(pose, sigma_m=sigma, confidence=confidence), placed(pose), person_colours(pose, False))
    assert marks.sigma[13] == pytest.approx(0.2) and marks.sigma[13] > marks.sigma[16]
    assert marks.colour[13, :3].sum() < 0.7 * marks.colour[16, :3].sum()
    unknown = joint_marks(replace(pose, sigma_m=np.full_like(sigma, np.nan)), placed(pose), person_colours(pose, False))
    assert (unknown.sigma == 0).all()


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
@pytest.mark.parametrize("places", [(17, 18, 19, 20), (18,)], ids=["no feet", "no left toe"])
def test_feet_that_are_not_known_are_left_out(unknown: float, places: tuple[int, ...]) -> None:
    whole = pose_at(3, 2)
    joints_m, sigma_m = whole.joints_m.copy(), whole.sigma_m.copy()
    joints_m[1, places, 0] = sigma_m[1, places] = unknown  # x alone
    pose = replace(whole, joints_m=joints_m, sigma_m=sigma_m, contact=np.ones_like(whole.contact))
    solids, marks = (draw(pose, placed(pose), person_colours(pose, False)) for draw in (body_solids, joint_marks))
    bones = {1: 2, 4: 6}[len(places)]
    assert (len(solids.start), len(marks.position)) == (2 * LIMBS - bones, 2 * 21 - len(places))
    for array in (*solids, *marks):
        assert np.isfinite(array).all()
    np.testing.assert_array_equal(placed(pose)[:, :17], placed(whole)[:, :17])
    assert ground_m_below(placed(pose)) == pytest.approx(GROUND_M, abs=0.05)


def test_where_a_foot_is_on_the_floor_is_a_bright_ball() -> None:
    pose = replace(pose_at(3, 1), contact=np.array([[False, True, False, False]]))
    lifted = replace(pose, contact=np.zeros((1, 4), bool))
    on_floor, off_floor = (joint_marks(of, placed(of), person_colours(of, False)) for of in (pose, lifted))
    assert on_floor.colour[18].tolist() == [*CONTACT, 1] and on_floor.radius[18] > 2 * off_floor.radius[18]
    np.testing.assert_array_equal(np.delete(on_floor.colour, 18, 0), np.delete(off_floor.colour, 18, 0))


def test_the_ground_is_below_who_stands_on_their_toes() -> None:
    pose = pose_at(0, 1)
    joints = placed(pose)
    joints[0, :, 1] -= 0.1
    joints[0, 18, 1] = GROUND_M - 0.02
    assert ground_m_below(joints) == pytest.approx(GROUND_M, abs=0.01)


def test_less_confident_limbs_are_darker() -> None:
    pose = pose_at(3, 1)
    bright, dark = (
        body_solids(replace(pose, confidence=np.full_like(pose.confidence, sure)), placed(pose), person_colours(pose, False))
        .colour[:, :3]
        .sum()
        for sure in (1.0, 0.0)
    )
    assert dark < 0.6 * bright


def test_a_confidence_that_is_no_number_is_none_at_all() -> None:
    pose = row(1)[0]
    nothing, unknown = (replace(pose, confidence=np.full_like(pose.confidence, value)) for value in (0, np.nan))
    for draw in (body_solids, joint_marks):
        expected, found = (draw(of, placed(of), person_colours(of, False)) for of in (nothing, unknown))
        for one, other in zip(expected, found):
            np.testing.assert_array_equal(one, other)


def test_trails_fade_and_end_where_the_hands_and_feet_are() -> None:
    poses = row(90)
    places = Placement().place(poses)
    lines = trails(poses, places, poses[-1].t_ns)
    per_person = round(TRAIL_S * 30) * len(TRAILING)
    assert len(lines.start) == 2 * per_person
    np.testing.assert_array_equal(lines.end[per_person - len(TRAILING) : per_person], places[-1][0, TRAILING])
    solid = lines.colour[:per_person, 1, 3]
    assert (np.diff(solid) >= -1e-6).all() and solid[0] < 0.05 and solid[-1] > 0.7


def test_a_trail_does_not_join_what_lies_before_and_after_somebody_was_away() -> None:
    poses = [pose_at(0, 1), pose_at(1, 1), pose_at(2, 0), pose_at(3, 1), pose_at(4, 1)]
    lines = trails(poses, Placement().place(poses), poses[-1].t_ns)
    assert len(lines.start) == len(TRAILING), "from 3 to 4 alone"
    assert len(trails([], [], 0).start) == 0


def test_the_frustum_is_as_wide_as_what_the_camera_sees() -> None:
    lines = frustum(1280, 720, 1100.0, depth_m=1.0)
    assert np.abs(lines.end[:, 0]).max() == pytest.approx(640 / 1100)
    assert np.abs(lines.end[:4, 1]).max() == pytest.approx(360 / 1100)


def test_keypoints_lie_in_the_panel_as_they_do_in_the_picture() -> None:
    panel = Rect(20, 100, 640, 360)
    np.testing.assert_allclose(in_panel(np.array([[0, 0], [1279, 719]], np.float32), 1280, 720, panel), [[20.25, 100.25], [659.75, 459.75]])
    pose = pose_at(3, 2)
    drawn = overlay(pose, panel, 1.0, stale=False)
    corners = in_panel(pose.keypoints[..., :2].reshape(-1, 2), 1280, 720, panel)
    distances = np.linalg.norm(drawn.start[:, None, :2] - corners, axis=-1).min(0)
    assert distances.max() < 1e-3


def test_keypoints_that_are_not_there_are_not_drawn() -> None:
    pose = pose_at(3, 1)
    keypoints = pose.keypoints.copy()
    keypoints[0, 9] = (np.nan, np.nan, 0)
    keypoints[0, 10, 2] = 0.01
    whole = overlay(pose, Rect(0, 0, 100, 50), 1.0, False)
    drawn = overlay(replace(pose, keypoints=keypoints), Rect(0, 0, 100, 50), 1.0, False)
    assert len(whole.start) - len(drawn.start) == 4, "two dots, two bones"
    assert np.isfinite(drawn.start).all()
    keypoints[0, 17:] = 0
    held = replace(pose, keypoints=keypoints, held=np.ones(1, bool))
    assert not (overlay(held, Rect(50, 50, 100, 50), 1.0, False).start[:, :2] < 55).all(1).any(), "feet that were never seen"
    nobody = overlay(pose_at(3, 0), Rect(0, 0, 100, 50), 1.0, False)
    assert len(nobody.start) == 0
