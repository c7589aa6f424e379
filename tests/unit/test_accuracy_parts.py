"""What `make accuracy` does to keypoints and how it accounts for it, with a made-up judge and a lifter that has no past."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bench.accuracy import calibration, occlusion, rate, stretches, swaps
from bench.accuracy.calibration import JUMP, disturb
from bench.accuracy.judge import SEED, Scene, load_judge, scenes
from bench.accuracy.lifting import Poses
from bench.accuracy.page import page
from bench.accuracy.study import Finding, Study
from bench.part import Goal, Grid
from poselift.common.errors import UserError
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS

TOLD_BY = {
    "hip": ("left_hip", "right_hip"),
    "spine": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "neck": ("nose", "left_shoulder", "right_shoulder"),
    "head": ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
}


def noise(points_px, rng, size_px):
    return points_px + rng.normal(0, 0.01 * size_px, points_px.shape)


def made_scene(number=0, seconds=4.0):
    rng = np.random.default_rng(number)
    frames = int(60 * seconds) + 1
    joints_m = rng.normal(0, 0.4, (17, 3)) + np.cumsum(rng.normal(0, 0.01, (frames, 17, 3)), 0) + [0, 0, 5]
    judge = SimpleNamespace(coco=lambda joints: joints[:, ::-1], noise=noise)
    return Scene(judge, f"made-{number}", joints_m, 60.0, 1000.0, 1280, 720, np.random.default_rng(9).bit_generator.state)


def without_past(model, keypoints, times_s, width_px, height_px):
    """Every joint where its keypoints are: nothing but they tell of it, and no other frame."""
    rows = [[COCO_KEYPOINTS.index(name) for name in TOLD_BY.get(joint, (joint,))] for joint in H36M_JOINTS]
    joints = np.stack([keypoints[..., row, :].mean(-2) for row in rows], -2) / 1000
    return Poses(joints, np.full_like(joints, np.nan))


@pytest.fixture
def study(monkeypatch, tmp_path):
    monkeypatch.setattr(stretches, "lift", without_past)
    return Study(None, [made_scene(0), made_scene(1, 3.0)], None, None, tmp_path, tmp_path, tmp_path)


def test_a_scene_is_the_clip_itself_at_its_own_times():
    scene = made_scene()
    assert np.allclose(scene.cut(scene.times_s(60)), scene.joints_m, atol=1e-12)
    assert np.allclose(scene.cut(scene.times_s(30)), scene.joints_m[::2], atol=1e-12)
    assert [len(scene.times_s(rate_hz)) for rate_hz in (24, 25, 50)] == [97, 101, 201]
    joints_m = scene.cut(scene.times_s(30))
    assert np.allclose(scene.truth_m(scene.times_s(30)), joints_m - joints_m[:, [0]])
    half = scene.cut(np.array([1.5 / 60]))[0]
    assert np.allclose(half, (scene.joints_m[1] + scene.joints_m[2]) / 2)


def test_the_judges_noise_is_drawn_again_and_another_draw_is_another():
    scene = made_scene()
    clean_px = scene.clean_px(scene.cut(scene.times_s(30)))
    assert np.array_equal(scene.noisy_px(clean_px), noise(clean_px, np.random.default_rng(9), np.ptp(clean_px, axis=1).max(-1).mean()))
    assert not np.array_equal(scene.noisy_px(clean_px, 1), scene.noisy_px(clean_px))


def test_the_motion_between_the_judges_frames_is_seen_by_the_same_camera(tmp_path):
    rng = np.random.default_rng(4)
    every = rng.normal(0, 1, (41, 17, 3)).astype(np.float16)
    np.savez(
        tmp_path / "motion.npz",
        joints_m=np.concatenate([every[:7], every]),
        clip_start=[0, 7],
        clip_length=[7, 41],
        fps=[60.0, 60.0],
        clip_name=["a/1", "a/5_1"],
    )
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]

    def view(joints_m, drawn):
        return joints_m @ turn + [0.1, 0.2, drawn.uniform(2, 8)], 900.0, 640, 480

    with_feet = np.concatenate([every[::2], np.full((21, 4, 3), np.nan)], 1)
    judge = SimpleNamespace(MOTION=tmp_path / "motion.npz", clips=lambda _: [("a-5_1", with_feet, None)], view=view)
    (scene,) = scenes(judge)
    drawn = np.random.default_rng(SEED)
    expected, *_ = view(every.astype(float), drawn)
    assert np.allclose(scene.joints_m, expected)
    assert (scene.rate_hz, scene.focal_px, scene.width_px, scene.height_px) == (60.0, 900.0, 640, 480)
    assert scene.after_view == drawn.bit_generator.state

    judge.view = lambda joints_m, drawn: (joints_m**3, 900.0, 640, 480)
    with pytest.raises(UserError, match="a-5_1"):
        scenes(judge)


def test_a_missing_judge_or_motion_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^evaluate_lifter.py is missing at .*--judge") as told:
        load_judge(tmp_path / "evaluate_lifter.py", None)
    assert "\n" not in str(told.value)
    (tmp_path / "evaluate_lifter.py").write_text("MOTION = 'motion.npz'\n")
    with pytest.raises(UserError, match=r"^motion.npz is missing at .*--motion"):
        load_judge(tmp_path / "evaluate_lifter.py", None)
    (tmp_path / "other.npz").touch()
    judge = load_judge(tmp_path / "evaluate_lifter.py", tmp_path / "other.npz")
    assert str(judge.MOTION) == str(tmp_path / "other.npz")


def test_hiding_a_keypoint_reaches_its_own_joints_alone(study):
    found = occlusion.compare(study)
    assert list(found)[:17] == list(COCO_KEYPOINTS)
    for name, growth in found.items():
        assert growth.own_hidden != growth.own_seen
        if name in COCO_KEYPOINTS:
            assert growth.share == pytest.approx(0, abs=1e-9)


def test_a_keypoint_is_hidden_for_its_second_and_no_longer():
    keypoints = np.random.default_rng(5).uniform(1, 2, (9, 17, 3))
    changed = occlusion.hide(keypoints, slice(2, 5), [9, 10])
    assert (changed[2:5, [9, 10]] == 0).all()
    assert np.array_equal(np.delete(changed, [9, 10], 1), np.delete(keypoints, [9, 10], 1))
    assert np.array_equal(changed[[0, 1, 5, 6, 7, 8]], keypoints[[0, 1, 5, 6, 7, 8]])


def test_hiding_both_legs_is_judged_by_arms_and_head(study):
    legs = occlusion.compare(study)["both legs and hips"]
    assert legs.share == pytest.approx(0, abs=1e-9)
    assert {H36M_JOINTS[joint] for joint in occlusion.ARMS_AND_HEAD} == {
        "neck", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    }  # fmt: skip


def test_the_joints_of_a_keypoint():
    def names(*hidden):
        return {H36M_JOINTS[joint] for joint in occlusion.derived([COCO_KEYPOINTS.index(name) for name in hidden])}

    assert names("left_wrist") == {"left_wrist"}
    assert names("nose") == {"neck", "head"}
    assert names("right_hip") == {"right_hip", "spine"}
    assert names("left_ear", "left_knee") == {"head", "left_knee"}


def test_a_stretch_lies_after_the_first_second_and_within_the_clip():
    scene = made_scene(seconds=2.5)
    noisy_px = scene.noisy_px(scene.clean_px(scene.cut(scene.times_s(30))))
    for stretch in stretches.stretches([scene] * 20, 30, 10, 1):
        assert stretch.begin >= 30
        assert len(stretch.times_s) == len(stretch.keypoints) == len(stretch.truth_m) == stretch.begin + 40 <= len(noisy_px)
        assert np.array_equal(stretch.keypoints[..., :2], noisy_px[: stretch.begin + 40])
        assert (stretch.keypoints[..., 2] == 1).all()


def test_a_long_past_is_cut_and_the_truth_with_it(monkeypatch):
    monkeypatch.setattr(stretches, "HISTORY", 20)
    scene = made_scene()
    (stretch,) = stretches.stretches([scene], 30, 0, 1)
    assert stretch.begin == 20 and stretch.times_s[0] == 0
    noisy_px = scene.noisy_px(scene.clean_px(scene.cut(scene.times_s(30))))
    (first,) = (frame for frame in range(len(noisy_px)) if np.array_equal(noisy_px[frame], stretch.keypoints[0, :, :2]))
    assert np.array_equal(stretch.truth_m, scene.truth_m(scene.times_s(30))[first : first + 50])


def test_a_swap_exchanges_the_named_keypoints_in_its_frames_and_nothing_else():
    keypoints = np.random.default_rng(5).normal(size=(9, 17, 3))
    wrists = stretches.indices(("wrist",), COCO_KEYPOINTS)
    assert [COCO_KEYPOINTS[keypoint] for keypoint in wrists] == ["left_wrist", "right_wrist"]
    changed = swaps.swap(keypoints, slice(2, 5), wrists)
    left, right = wrists
    assert np.array_equal(changed[2:5, left], keypoints[2:5, right]) and np.array_equal(changed[2:5, right], keypoints[2:5, left])
    assert np.array_equal(np.delete(changed, wrists, 1), np.delete(keypoints, wrists, 1))
    assert np.array_equal(changed[[0, 1, 5, 6, 7, 8]], keypoints[[0, 1, 5, 6, 7, 8]])
    whole = swaps.swap(keypoints, slice(0, 9), stretches.indices(COCO_KEYPOINTS, COCO_KEYPOINTS))
    assert np.array_equal(whole[:, 0], keypoints[:, 0]) and np.array_equal(whole[:, 16], keypoints[:, 15])


def test_a_lifter_without_past_is_back_at_once(study):
    pieces = stretches.stretches(study.scenes, max(swaps.LENGTHS) + swaps.AFTER, 0, 1)
    for length, found in swaps.compare(study, pieces).items():
        for ratios in found.values():
            assert ratios.during != 1 and (ratios.course[:length] != 1).all()
            assert ratios.after == [1.0] * swaps.AFTER and ratios.back_frames == 1


def test_swaps_from_the_first_frame_on_have_no_past(study):
    for stretch in stretches.beginnings(study.scenes, 40):
        assert stretch.begin == 0 and len(stretch.keypoints) == 40


def test_what_is_done_to_a_keypoint_is_done_to_it_alone():
    keypoints = np.random.default_rng(6).uniform(0, 500, (80, 17, 3))
    keypoints[..., 2] = 1
    ways = disturb(keypoints, 40, 9, np.random.default_rng(0))
    for way in ways.values():
        assert np.array_equal(np.delete(way, 9, 1), np.delete(keypoints, 9, 1))
        assert np.array_equal(way[:40], keypoints[:40]) and np.array_equal(way[70:], keypoints[70:])
    assert (ways["missing"][40:70, 9] == 0).all()
    assert np.array_equal(ways["unsure"][40:70, 9, :2], keypoints[40:70, 9, :2]) and (ways["unsure"][40:70, 9, 2] < 1).all()
    moved = np.linalg.norm(ways["jumps"][:, 9, :2] - keypoints[:, 9, :2], axis=-1)
    assert np.flatnonzero(moved).tolist() == [40]
    assert moved[40] == pytest.approx(JUMP * np.ptp(keypoints[40, :, :2], axis=0).max())


@pytest.mark.parametrize(("overstated", "met"), [(1.0, [True, True]), (1.5, [False, True]), (0.7, [False, False])])
def test_true_sigmas_meet_the_goals_and_others_do_not(study, monkeypatch, tmp_path, overstated, met):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'poselift[train]'")
    rng = np.random.default_rng(7)
    truths = {scene.name: scene.truth_m(scene.times_s(30)) for scene in study.scenes}
    np.savez(tmp_path / "truth.npz", **truths)

    def said(truth_m):
        sigma_m = rng.uniform(0.02, 0.2, truth_m.shape)
        return Poses(truth_m + rng.normal(0, sigma_m), overstated * sigma_m)

    def lift(model, keypoints, times_s, width_px, height_px):
        poses = without_past(model, keypoints, times_s, width_px, height_px)
        return poses._replace(sigma_m=np.broadcast_to(2 - keypoints[..., 2:].min(2, keepdims=True), poses.joints_m.shape))

    monkeypatch.setattr(stretches, "lift", lift)
    monkeypatch.setitem(vars(study), "datasets", tmp_path)
    monkeypatch.setitem(vars(study), "poses", {kind: {name: said(truth) for name, truth in truths.items()} for kind in ("clean", "noisy")})
    finding = calibration.measure(study)
    shares, growth = finding.goals[:4], finding.goals[4:]
    assert [goal.met for goal in shares] == met * 2
    assert [goal.met for goal in growth] == [True, False, True]  # this sigma heeds confidence alone


def test_a_lifter_that_states_no_sigma_is_said_to_state_none(study, monkeypatch, tmp_path):
    truths = {scene.name: scene.truth_m(scene.times_s(30)) for scene in study.scenes}
    np.savez(tmp_path / "truth.npz", **truths)
    unknown = {name: Poses(truth, np.full_like(truth, np.nan)) for name, truth in truths.items()}
    monkeypatch.setitem(vars(study), "datasets", tmp_path)
    monkeypatch.setitem(vars(study), "poses", {"clean": unknown, "noisy": unknown})
    finding = calibration.measure(study)
    assert calibration.NONE in finding.method
    assert [goal.met for goal in finding.goals] == [False]


def test_uneven_and_missing_frames_keep_their_true_times():
    scene = made_scene()
    for rate_hz in rate.RATES_HZ:
        seen, even_s = rate.jittered(scene, rate_hz), scene.times_s(rate_hz)
        off = (seen.times_s - even_s) * rate_hz
        assert (np.diff(seen.times_s) > 0).all() and np.abs(off).max() <= rate.JITTER + 1e-9 and np.abs(off).max() > 0.15
        assert np.allclose(seen.noisy_px, scene.noisy_px(scene.clean_px(scene.cut(seen.times_s))))
    left, whole = rate.dropped(scene), rate.steady(scene, 30)
    kept = np.searchsorted(whole.times_s, left.times_s)
    assert kept[0] == 0 and kept[-1] > len(kept) and 0.8 < len(kept) / len(whole.times_s) < 0.97
    assert np.array_equal(left.noisy_px, whole.noisy_px[kept]) and np.array_equal(left.times_s, whole.times_s[kept])


@pytest.mark.parametrize("late_s", [0.0, 0.02])
def test_a_lifter_that_is_late_is_found_so_at_every_rate_and_as_good(monkeypatch, late_s):
    scene = made_scene(seconds=20)

    def lift(model, keypoints, times_s, width_px, height_px):
        return Poses(1.1 * scene.truth_m(times_s - late_s)[None] + 0.05, None)

    monkeypatch.setattr(rate, "lift", lift)
    for found in rate.compare(None, [scene]).values():
        assert found.error == pytest.approx(found.steady, rel=0.02)
        assert found.shifts.delay_s == pytest.approx(late_s, abs=0.003)


def test_the_page_has_every_goal_table_and_picture():
    finding = Finding(
        "How.", [Goal("what", "7 mm", "5 mm", False)], [("Caption:", Grid(("", "mm"), [("all", "7")]))], [("a.png", "shows")], "quoted"
    )
    text = page([("date", "today")], {"rate": finding})
    for line in (
        "| date | today |",
        "| what | 7 mm | 5 mm | NOT met |",
        "## Rate",
        "How.",
        "quoted",
        "Caption:",
        "| all | 7 |",
        "![shows](images/a.png)",
    ):
        assert line in text.splitlines()
