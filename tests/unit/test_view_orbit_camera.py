"""The camera of the 3D scene sees points where an independent formula says, and goes where it is told."""

from __future__ import annotations

import numpy as np
import pytest

from bench.people import FOCAL_PX, HEIGHT_PX, WIDTH_PX, joints_of, pose_at
from poselift.app.view.camera_rig import CameraRig
from poselift.app.view.orbit_camera import (
    OrbitCamera,
    Rect,
    axes,
    eased,
    focal_px,
    orbited,
    panned,
    position,
    preset,
    project,
    settled,
    zoomed,
)

PANEL = Rect(100, 50, 600, 500)


def by_matrix(camera: OrbitCamera, panel: Rect, points: np.ndarray) -> np.ndarray:
    """Rotation about y, then about x, then the pinhole: written as matrices."""
    a, e = camera.azimuth_rad, camera.elevation_rad
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    seen = (about_x @ about_y @ (points - np.array(camera.target)).T).T + np.array([0, 0, camera.distance_m])
    middle = np.array([panel.left + panel.width / 2, panel.top + panel.height / 2])
    return np.concatenate([seen[:, :2] / seen[:, 2:] * focal_px(panel) + middle, seen[:, 2:]], -1)


@pytest.mark.parametrize("azimuth", [0, 35, -120, 180])
@pytest.mark.parametrize("elevation", [-5, 0, 30, 89])
def test_points_are_where_the_matrices_put_them(azimuth: float, elevation: float) -> None:
    points = np.random.default_rng(0).normal(size=(20, 3)) + np.array([1, -1, 5])
    camera = OrbitCamera((1.0, -1.0, 5.0), np.radians(azimuth), np.radians(elevation), 6.0)
    np.testing.assert_allclose(project(camera, PANEL, points), by_matrix(camera, PANEL, points), atol=1e-6)


def test_the_front_view_is_as_the_camera_sees() -> None:
    camera = preset("front", (0.0, 0.0, 4.0), 1.2)._replace(elevation_rad=0.0)
    left, up, far = project(camera, PANEL, np.array([[-1.0, 0, 4], [0, -1, 4], [0, 0, 5]]))
    middle = project(camera, PANEL, np.array([0, 0, 4.0]))
    assert left[0] < middle[0] and up[1] < middle[1] and far[2] > middle[2]
    np.testing.assert_allclose(middle[:2], (400, 300))


def test_the_side_view_looks_to_the_cameras_right_and_the_top_view_down() -> None:
    np.testing.assert_allclose(axes(preset("side", (0, 0, 0), 1)._replace(elevation_rad=0))[2], (1, 0, 0), atol=1e-9)
    np.testing.assert_allclose(axes(preset("top", (0, 0, 0), 1))[2], (0, 1, 0), atol=0.01)


def test_a_preset_shows_what_it_was_told_to() -> None:
    camera = preset("follow", (0.0, 0.0, 4.0), 1.5)
    around = np.array(camera.target) + 1.5 * np.stack([axes(camera)[0], -axes(camera)[0], axes(camera)[1], -axes(camera)[1]])
    seen = project(camera, PANEL, around)
    assert all(PANEL.contains(x + step, y + step) for (x, y, _), step in zip(seen, (-0.5, 0.5, -0.5, 0.5)))


def test_the_mouse_turns_about_the_target_moves_with_the_scene_and_zooms() -> None:
    camera = preset("front", (0.5, 0.2, 4.0), 1.2)
    turned = orbited(camera, 0.3, 9.0)
    assert np.linalg.norm(position(turned) - np.array(turned.target)) == pytest.approx(camera.distance_m)
    assert turned.elevation_rad < np.pi / 2
    point = np.array(camera.target)
    before, after = project(camera, PANEL, point), project(panned(camera, PANEL, 30, -12), PANEL, point)
    np.testing.assert_allclose(after[:2] - before[:2], (30, -12), atol=1e-6)
    assert zoomed(camera, 0.5).distance_m == camera.distance_m / 2
    assert zoomed(camera, 1e-9).distance_m > 0


def test_a_preset_is_reached_by_the_shorter_way() -> None:
    camera, goal = OrbitCamera((0, 0, 4.0), np.radians(170), 0.1, 5), OrbitCamera((0, 0, 4.0), np.radians(-170), 0.2, 4)
    turned = eased(camera, goal, 0.05)
    assert turned.azimuth_rad > camera.azimuth_rad
    for _ in range(40):
        camera = eased(camera, goal, 0.05)
    assert settled(camera, goal) and not settled(turned, goal)


def test_the_eye_goes_with_people_and_keeps_them_in_view() -> None:
    rig = CameraRig()
    pose = pose_at(0, 1)
    joints = pose.joints_m + pose.root_m[:, None]
    for step in range(200):  # walks away at 2 m/s, sideways
        rig.update(pose, joints + np.float32((2 * step / 30, 0, 0)), 1.25, 1 / 30)
        seen = project(rig.camera, PANEL, (joints + np.float32((2 * step / 30, 0, 0)))[0])
        assert all(PANEL.contains(x, y) for x, y, _ in seen)
    assert rig.update(pose, joints + np.float32((100, 0, 0)), 1.25, 1 / 30)
    assert abs(rig._middle[0] - (joints[0, 0, 0] + 100)) < 1e-6, "somebody far away is shown at once"


def test_people_far_from_each_other_and_above_each_other_are_all_in_view() -> None:
    rig, pose = CameraRig(), pose_at(0, 2)
    alone, both = pose_at(0, 1), pose.joints_m + np.float32([[[-1.1, -1.1, 9]], [[2.3, 1.0, 8.4]]])
    for _ in range(60):
        rig.update(alone, both[:1], 1.9, 1 / 30)
    for _ in range(45):
        rig.update(pose, both, 1.9, 1 / 30)
    assert all(PANEL.contains(x, y) for x, y, _ in project(rig.camera, PANEL, both.reshape(-1, 3)))


def test_tab_goes_through_the_people_and_then_to_nobody_in_particular() -> None:
    rig = CameraRig()
    rig.select_view("top")
    followed = []
    for _ in range(4):
        rig.follow_next([7, 3])
        followed.append(rig.followed)
    assert followed == [3, 7, None, 3] and rig.view == "follow"


def test_made_people_are_seen_by_the_pinhole_where_their_keypoints_are() -> None:
    """The made-up messages of tests and bench agree with themselves."""
    pose = pose_at(17, 4)
    places = pose.joints_m[:, 13] + pose.root_m  # left wrist
    pixels = places[:, :2] / places[:, 2:] * FOCAL_PX + (WIDTH_PX / 2, HEIGHT_PX / 2)
    np.testing.assert_allclose(pixels, pose.keypoints[:, 9, :2], atol=0.01)
    assert np.linalg.norm(joints_of(0.25)[13] - joints_of(0.75)[13]) > 0.1
