"""The drawings: what is known is found at its pixels."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from poselift.app.dataflow.messages import Pose3D
from poselift.app.export.drawing import draw_person
from poselift.app.export.palette import HELD, KEYPOINT_COLOURS, LEFT, PEOPLE, RIGHT, TRUNK, colour_of
from poselift.app.export.scene import TURN_S, Floor, Scene, turn_at
from poselift.common.skeleton import FEET, JOINTS, KEYPOINTS, PARENTS

KEYPOINT = {name: number for number, name in enumerate(KEYPOINTS)}
JOINT = {name: number for number, name in enumerate(JOINTS)}

STANDING = {  # metres, standing upright and facing the camera
    "hip": (0, 0, 0), "right_hip": (-0.12, 0, 0), "right_knee": (-0.13, 0.42, 0), "right_ankle": (-0.14, 0.83, 0.02),
    "left_hip": (0.12, 0, 0), "left_knee": (0.13, 0.42, 0), "left_ankle": (0.14, 0.83, 0.02),
    "spine": (0, -0.22, 0), "thorax": (0, -0.45, 0), "neck": (0, -0.55, -0.03), "head": (0, -0.66, 0),
    "left_shoulder": (0.17, -0.43, 0), "left_elbow": (0.35, -0.2, 0), "left_wrist": (0.5, 0, 0),
    "right_shoulder": (-0.17, -0.43, 0), "right_elbow": (-0.35, -0.2, 0), "right_wrist": (-0.5, 0, 0),
    "left_heel": (0.14, 0.88, 0.08), "left_toe": (0.18, 0.885, -0.14),
    "right_heel": (-0.14, 0.88, 0.08), "right_toe": (-0.18, 0.885, -0.14),
}  # fmt: skip


def standing() -> np.ndarray:
    return np.array([STANDING[name] for name in JOINTS], np.float32)


def a_pose(joints_m: np.ndarray, t_s: float = 0.0, held: bool = False, confidence: float = 1.0) -> Pose3D:
    people = joints_m.reshape(-1, 21, 3).astype(np.float32)
    count = len(people)
    return Pose3D(
        frame=0, t_ns=round(t_s * 1e9), width_px=640, height_px=480, person=np.arange(count),
        keypoints=np.zeros((count, 21, 3), np.float32), joints_m=people, sigma_m=people * np.nan,
        root_m=np.full((count, 3), np.nan, np.float32), confidence=np.full((count, 21), confidence, np.float32),
        warming=np.zeros(count, bool), held=np.full(count, held), contact=np.zeros((count, 4), bool),
    )  # fmt: skip


def test_whose_joints_are_no_numbers_is_not_drawn_and_leaves_the_floor_where_it_is() -> None:
    """A network may have given them, in a recording of an older poselift."""
    scenes = [Scene(300, 400) for _ in range(2)]
    two = np.stack([standing(), standing() * np.nan])
    for t_s in (0.0, 0.1, 0.2):
        broken = a_pose(two, t_s)
        if t_s == 0.1:
            broken.confidence[:] = np.nan
        shown = a_pose(standing(), t_s, confidence=0.0 if t_s == 0.1 else 1.0)
        np.testing.assert_array_equal(scenes[0].draw(broken, t_s), scenes[1].draw(shown, t_s))
    nobody = a_pose(np.full((1, 21, 3), np.inf))
    np.testing.assert_array_equal(Scene(300, 400).draw(nobody, 0), Scene(300, 400).draw(None, 0))


def a_person(confidence: float = 1.0) -> np.ndarray:
    """Keypoints far enough apart to be told from each other, in a picture of 640 x 480."""
    keypoints = np.zeros((21, 3), np.float32)
    keypoints[:, 0] = 40 + 28 * np.arange(21)
    keypoints[:, 1] = 60 + 140 * (np.arange(21) % 3)
    keypoints[:, 2] = confidence
    return keypoints


def at(panel: np.ndarray, point: np.ndarray) -> np.ndarray:
    return panel[round(float(point[1])), round(float(point[0]))].astype(int)


def same_hue(colour: np.ndarray, expected: tuple[int, int, int]) -> bool:
    """Whether two colours differ in brightness and strength only."""
    ours, theirs = (np.asarray(one, float) - np.mean(one) for one in (colour, expected))
    return float(ours @ theirs) > 0.95 * float(np.linalg.norm(ours) * np.linalg.norm(theirs)) > 5


def test_keypoints_and_bones_are_where_they_should_be() -> None:
    panel = np.full((480, 640, 3), 90, np.uint8)
    keypoints = a_person()
    draw_person(panel, keypoints, held=False)
    for point, colour in zip(keypoints, KEYPOINT_COLOURS):
        np.testing.assert_allclose(at(panel, point), colour, atol=3)
    for ends, colour in (
        (("left_elbow", "left_wrist"), LEFT),
        (("right_knee", "right_ankle"), RIGHT),
        (("left_ankle", "left_heel"), LEFT),
        (("right_ankle", "right_toe"), RIGHT),
        (("left_shoulder", "left_hip"), TRUNK),
    ):
        start, end = (keypoints[KEYPOINT[name]] for name in ends)
        shares = [np.abs(at(panel, start + share * (end - start)) - colour).max() for share in np.linspace(0.2, 0.8, 25)]
        assert np.median(shares) <= 3, ends
    assert (panel[:40] == 90).all()
    assert (panel[420:] == 90).all()


def test_the_surer_the_more_solid() -> None:
    distances = []
    for confidence in (1.0, 0.6, 0.2, 0.0):
        panel = np.full((480, 640, 3), 90, np.uint8)
        draw_person(panel, a_person(confidence), held=False)
        distances.append(np.abs(at(panel, a_person()[KEYPOINT["left_wrist"]]) - 90).max())
    assert distances[0] > distances[1] + 20 > distances[2] + 40
    assert distances[3] == 0


def test_a_held_person_is_a_grey_outline() -> None:
    panel = np.full((480, 640, 3), 90, np.uint8)
    keypoints = a_person(0.0)
    draw_person(panel, keypoints, held=True)
    start, end = keypoints[KEYPOINT["left_elbow"]], keypoints[KEYPOINT["left_wrist"]]
    np.testing.assert_allclose(at(panel, (start + end) / 2), HELD, atol=30)
    assert np.ptp(panel.astype(int), axis=-1).max() < 20


def test_what_was_never_seen_of_one_who_is_held_is_not_drawn() -> None:
    """Feet, by a detector that knows none: they are at 0, 0."""
    keypoints = a_person(0.0)
    keypoints[KEYPOINT["left_heel"] :] = 0
    nowhere = keypoints.copy()
    nowhere[KEYPOINT["left_heel"] :] = np.nan
    panel, expected = np.full((2, 480, 640, 3), 90, np.uint8)
    draw_person(panel, keypoints, held=True)
    draw_person(expected, nowhere, held=True)
    np.testing.assert_array_equal(panel, expected)
    assert (panel[:40] == 90).all() and (panel[:, :30] == 90).all()


def test_missing_and_far_keypoints_do_no_harm() -> None:
    panel = np.full((48, 64, 3), 90, np.uint8)
    for content in (np.nan, 1e6, -1e6):
        keypoints = np.full((21, 3), content, np.float32)
        keypoints[:, 2] = 1
        for held in (False, True):
            draw_person(panel, keypoints, held)
    assert (panel == 90).all()
    keypoints = a_person()
    keypoints[3, 0] = np.nan
    keypoints[5] = (-500, 20, 1)
    draw_person(panel, keypoints, held=False)
    assert (panel != 90).any()


@pytest.mark.parametrize("t_s", [0.0, 3.1, 17.0])
def test_limbs_are_found_where_the_view_projects_them(t_s: float) -> None:
    scene = Scene(640, 720)
    joints = standing()
    panel = scene.draw(a_pose(joints, t_s), t_s)
    points = scene.project(scene.place(a_pose(joints, t_s))[0], turn_at(t_s))
    for name, colour in (
        ("left_wrist", LEFT),
        ("right_wrist", RIGHT),
        ("left_ankle", LEFT),
        ("right_ankle", RIGHT),
        ("left_toe", LEFT),
        ("right_toe", RIGHT),
    ):
        end, start = points[JOINT[name]], points[PARENTS[JOINT[name]]]
        seen = [same_hue(at(panel, start + share * (end - start)), colour) for share in np.linspace(0.35, 0.95, 13)]
        assert np.mean(seen) > 0.7, name
    assert same_hue(at(panel, points[JOINT["spine"]]), colour_of(0))


def test_the_view_is_that_of_a_pinhole_camera() -> None:
    scene = Scene(640, 720)
    points = standing().astype(float) / 1.7
    turn = 0.7
    matrix = np.array([[scene._focal_px, 0, 320], [0, scene._focal_px, 360], [0, 0, 1]])
    # The body turns by `turn` about -y, then the camera, 3.6 away and level with 0.46 above the floor, is tilted down by 13 degrees.
    turned = cv2.Rodrigues(np.array([0, turn, 0.0]))[0]
    tilted = cv2.Rodrigues(np.array([np.radians(13), 0, 0]))[0]
    rotation = tilted @ turned
    shift = tilted @ np.array([0, 0.46, 0]) + (0, 0, 3.6)
    expected = cv2.projectPoints(points, cv2.Rodrigues(rotation)[0], shift, matrix, None)[0][:, 0]
    np.testing.assert_allclose(scene.project(points, turn)[:, :2], expected, atol=1e-6)


def test_it_turns_slowly_and_comes_back() -> None:
    scene = Scene(640, 720)
    start = scene.project(standing(), turn_at(0))
    np.testing.assert_allclose(scene.project(standing(), turn_at(TURN_S)), start, atol=1e-6)
    moved = np.linalg.norm((scene.project(standing(), turn_at(1 / 30)) - start)[:, :2], axis=-1).max()
    assert 0.1 < moved < 10


def test_where_a_foot_is_on_the_floor_is_a_bright_ball() -> None:
    for on_floor in ((), ("left_toe",), ("right_toe",), ("left_toe", "right_toe")):
        pose = replace(a_pose(standing()), contact=np.array([[name in on_floor for name in FEET]]))
        scene = Scene(640, 720)
        panel, points = scene.draw(pose, 0), scene.project(scene.place(pose)[0], turn_at(0))
        assert tuple(name for name in FEET if at(panel, points[JOINT[name]]).min() > 200) == on_floor


@pytest.mark.parametrize("axes", [slice(None), 1])
@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_feet_that_are_not_known_are_left_out(unknown: float, axes: object) -> None:
    joints = standing()
    joints[JOINT["left_heel"] :, axes] = unknown
    scene, whole = Scene(640, 720), Scene(640, 720)
    panel = scene.draw(a_pose(joints), 0)
    said = replace(a_pose(joints), contact=np.ones((1, 4), bool))
    np.testing.assert_array_equal(Scene(640, 720).draw(said, 0), panel)
    points = whole.project(whole.place(a_pose(standing()))[0], turn_at(0))
    for foot, leg in (("left_toe", "left_ankle"), ("right_toe", "right_ankle")):
        colour = LEFT if foot.startswith("left") else RIGHT
        assert same_hue(at(whole.draw(a_pose(standing()), 0), points[JOINT[foot]]), colour)
        assert not same_hue(at(panel, points[JOINT[foot]]), colour)
        assert same_hue(at(panel, scene.project(scene.place(a_pose(joints))[0], turn_at(0))[JOINT[leg]]), colour)
    joints[JOINT["right_heel"] :] = standing()[JOINT["right_heel"] :]
    assert same_hue(at(Scene(640, 720).draw(a_pose(joints), 0), points[JOINT["right_toe"]]), RIGHT), "the other foot is drawn"


def test_what_is_near_hides_what_is_behind() -> None:
    """Both forearms on the same rays, seen from the front of the view: the nearer one shows."""
    frontal_s = -turn_at(0) / (turn_at(1) - turn_at(0))
    for near, colour in (("left", LEFT), ("right", RIGHT)):
        far = "right" if near == "left" else "left"
        scene, joints = Scene(640, 720), standing()
        eye = np.array([0, -0.46 - 3.6 * np.sin(np.radians(13)), -3.6 * np.cos(np.radians(13))]) * 1.7
        floor = np.array([0, 0.83 + 0.045 * 1.7, 0])
        for part in ("elbow", "wrist"):
            joints[JOINT[f"{near}_{part}"]] = (0.6 if part == "wrist" else 0.3, -0.3, -0.4)
            joints[JOINT[f"{far}_{part}"]] = 1.2 * (joints[JOINT[f"{near}_{part}"]] - floor - eye) + eye + floor
        pose = a_pose(joints, frontal_s)
        points = scene.project(scene.place(pose)[0], 0.0)
        np.testing.assert_allclose(points[JOINT["left_wrist"], :2], points[JOINT["right_wrist"], :2], atol=1e-2)
        middle = (points[JOINT[f"{near}_elbow"]] + points[JOINT[f"{near}_wrist"]]) / 2
        assert same_hue(at(scene.draw(pose, frontal_s), middle), colour)


def test_held_is_grey_unsure_is_dim() -> None:
    point = (
        Scene(640, 720).project(Scene(640, 720).place(a_pose(standing()))[0], turn_at(0))[[JOINT["left_knee"], JOINT["left_ankle"]]].mean(0)
    )
    sure, unsure, held = (
        at(Scene(640, 720).draw(a_pose(standing(), held=held, confidence=confidence), 0), point)
        for held, confidence in ((False, 1.0), (False, 0.2), (True, 0.0))
    )
    assert same_hue(sure, LEFT)
    assert sure.max() > unsure.max() + 40
    assert np.ptp(held) < 25


def test_there_is_a_floor_with_a_shadow_on_it() -> None:
    scene = Scene(640, 720)
    empty, standing_on_it = Scene(640, 720).draw(None, 0), scene.draw(a_pose(standing()), 0)
    feet = scene.project(np.zeros(3), turn_at(0))
    below = standing_on_it[int(feet[1]) : int(feet[1]) + 60].astype(int) - empty[int(feet[1]) : int(feet[1]) + 60]
    assert (below.max(-1) < -10).sum() > 300
    assert empty[int(feet[1]) :].std() > 2


def test_nobody_is_an_empty_floor() -> None:
    nobody = Scene(640, 720).draw(a_pose(np.zeros((0, 21, 3))), 0)
    np.testing.assert_array_equal(nobody, Scene(640, 720).draw(None, 0))


def people_at(roots_m: dict[int, tuple[float, float, float]], t_s: float = 0.0) -> Pose3D:
    pose = a_pose(np.stack([standing()] * len(roots_m)), t_s)
    return replace(pose, person=np.array(list(roots_m)), root_m=np.array(list(roots_m.values()), np.float32))


ON_A_ROOF, BELOW = (-1.1, -1.1, 9.2), (2.3, 1.0, 8.4)


def test_several_people_stand_where_they_are_and_all_are_in_view() -> None:
    for roots_m in ({1: ON_A_ROOF, 2: BELOW}, {1: (0, 0, 4), 2: (1.7, 0, 5.7)}, {n: (n, 0, 5 + n % 3) for n in range(8)}):
        scene = Scene(640, 720)
        roots = scene.place(people_at(roots_m))[:, 0]
        apart = np.diff(list(roots_m.values()), axis=0)
        scale = (roots[1] - roots[0])[0] / apart[0, 0]
        np.testing.assert_allclose(np.diff(roots, axis=0), scale * apart, atol=1e-6)
        for turn_rad in np.linspace(0, 2 * np.pi, 16):
            points = scene.project(scene.place(people_at(roots_m)), turn_rad)[..., :2]
            assert (points > 0).all() and (points < (640, 720)).all(), (roots_m, turn_rad)


def test_nobody_jumps_when_somebody_comes_or_goes() -> None:
    """First the one on the roof, after a second another far below, who alone is left in the end."""
    scene, before, moved = Scene(640, 720), {}, []
    for n in range(150):
        here = {1: ON_A_ROOF} if n < 30 else {1: ON_A_ROOF, 2: BELOW} if n < 90 else {2: BELOW}
        points = scene.project(scene.place(people_at(here, n / 30)), 0.0)[..., :2]
        now = dict(zip(here, points))
        in_view = [p for p in now.keys() & before.keys() if (before[p] > 0).all() and (before[p] < (640, 720)).all()]
        moved.append(max((np.abs(now[person] - before[person]).max() for person in in_view), default=0))
        before = now
    assert 10 < max(moved) < 60, "of 720 px"
    assert max(moved[10:30]) < 1e-6 and max(moved[80:90]) < 0.5 and max(moved[140:]) < 0.5, "and all is calm"
    alone = Scene(640, 720)
    np.testing.assert_allclose(before[2], alone.project(alone.place(people_at({7: BELOW})), 0.0)[0, :, :2], atol=0.1)


def test_after_a_cut_the_view_is_where_the_others_are_at_once() -> None:
    scene, alone = Scene(640, 720), Scene(640, 720)
    scene.place(people_at({1: ON_A_ROOF}))
    np.testing.assert_array_equal(scene.place(people_at({2: BELOW}, 1 / 30)), alone.place(people_at({2: BELOW}, 1 / 30)))


def test_people_whose_place_is_not_known_stand_side_by_side_and_keep_their_places() -> None:
    scene = Scene(640, 720)
    unknown = (np.nan, np.nan, np.nan)
    both = scene.place(people_at({1: unknown, 2: unknown}))[:, 0]
    assert both[1, 0] - both[0, 0] > 0.3
    (left,) = scene.place(people_at({2: unknown}, 1 / 30))[:, 0]
    np.testing.assert_allclose(left, both[1], atol=0.05)


def test_each_person_has_a_colour_of_their_own_that_is_no_sides() -> None:
    hues = cv2.cvtColor(np.array([[LEFT, RIGHT, *PEOPLE]], np.uint8), cv2.COLOR_BGR2HSV)[0, :, 0].astype(int)
    for number, hue in enumerate(hues):
        off = np.abs(np.delete(hues, number) - hue)
        assert np.minimum(off, 180 - off).min() >= 10, number
    panel = np.full((480, 640, 3), 90, np.uint8)
    draw_person(panel, a_person(), held=False, own=colour_of(3))
    ends = [a_person()[KEYPOINT[name]] for name in ("left_shoulder", "left_hip", "left_elbow", "left_wrist")]
    assert same_hue(at(panel, ends[0] + 0.3 * (ends[1] - ends[0])), colour_of(3))
    assert same_hue(at(panel, ends[2] + 0.3 * (ends[3] - ends[2])), LEFT)


def test_the_floor_stays_under_a_walker_and_follows_a_climber() -> None:
    floor = Floor()
    walking = [floor.under(0.9 - 0.05 * (n % 15 > 7), n / 30) for n in range(90)]
    np.testing.assert_allclose(walking, 0.9, atol=1e-9)
    crouching = [floor.under(0.5, 3 + n / 30) for n in range(90)]
    assert np.abs(np.diff([walking[-1], *crouching])).max() < 0.06
    assert crouching[-1] == pytest.approx(0.5, abs=0.01)
    assert floor.under(0.7, 0.0) == 0.7
