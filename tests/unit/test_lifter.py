"""The lifter of a stream against naive ones: every pose from its person's whole history, resampled and judged from scratch."""

from fractions import Fraction

import numpy as np
import onnx
import pytest
from random_lifter import WITH_FEET, random_lifter, weights_for_judge
from temporal_judge import judge

from poselift.common.errors import ModelError
from poselift.common.people import People2D
from poselift.common.skeleton import COCO_KEYPOINTS, JOINTS, KEYPOINTS
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.lifting import lifter_metadata
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.occlusion import OcclusionFiller
from poselift.models.lifting.slots import Person, plausible

WIDTH, HEIGHT = 640, 480
PERIOD_NS = Fraction(10**9, 30)
TOLERANCE = 1e-5
PLAIN = {"rate_hz": "30", "normalisation": "plain", **WITH_FEET}


class Plain:
    """A simple normalisation: coordinates in picture widths, and poses as many times larger as the nose is to the right."""

    def observe(self, keypoints, width_px, height_px, focal_px, depth_px=None):
        scaled = keypoints * np.array([1 / width_px, 1 / width_px, 1], np.float32)
        return scaled.reshape(len(keypoints), -1), scaled[:, :1, :1]

    def to_camera(self, pose, view):
        return pose * view

    def body_scale_m(self, body_height_m):
        return body_height_m / 4


@pytest.fixture(scope="module")
def weights():
    return random_lifter((3, 3), 64, features=63, outputs=63, contact=True)


@pytest.fixture
def open_lifter(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(lifter_metadata, "NORMALISATIONS", {"plain": Plain()})

    def opened(**settings):
        onnx.save(build(weights, PLAIN), tmp_path / "lifter.onnx")
        return Lifter(open_model(tmp_path / "lifter.onnx"), body_height_m=2.0, filtered=False, **settings)

    return opened


def walk(frames, seed=0):
    """Keypoints [T, 21, 3] that wander through the picture, all seen."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(frames, 21, 3)).cumsum(0) * (8, 8, 0.02) + (300, 200, 0)
    steps[..., 2] = np.clip(0.7 + steps[..., 2], 0.1, 1)
    return steps.astype(np.float32)


def judged(weights, columns):
    """The judge's newest pose [21, 3] for columns [T, 21, 3] in pixels, in the metres of `Plain` and two metres of body height."""
    features = np.asarray(columns, np.float64) / (WIDTH, WIDTH, 1)
    pose = judge(*weights_for_judge(weights), features.reshape(len(columns), -1))[-1].reshape(21, 3)
    return (pose - pose[0]) * features[-1, 0, 0] * 0.5


def naive(weights, times_ns, keypoints, gap_ns=5e8):
    """Every measurement's pose [T, 21, 3] of one person who is always seen, and whether the history was still short."""
    ticks, columns, last, poses, warming = [], [], None, [], []
    for frame, time in enumerate(times_ns):
        if last is None or time < last or time - last > gap_ns:
            ticks, columns, on_tick = [Fraction(time)], [keypoints[frame]], True
        else:
            on_tick = False
            while not on_tick and ticks[-1] + PERIOD_NS <= time + PERIOD_NS / 4:
                ticks.append(ticks[-1] + PERIOD_NS)
                on_tick = ticks[-1] >= time - PERIOD_NS / 4
                ends = [last, time]
                between = [np.interp(float(ticks[-1]), ends, pair) for pair in zip(keypoints[frame - 1].ravel(), keypoints[frame].ravel())]
                columns.append(keypoints[frame] if on_tick else np.reshape(between, (21, 3)))
        last = time
        history = columns if on_tick else [*columns, keypoints[frame]]
        poses.append(judged(weights, history))
        warming.append(len(history) < 9)
    return np.array(poses), np.array(warming)


@pytest.mark.parametrize("fps", [24, 25, 29, 30, 50, 60])
@pytest.mark.parametrize(("jitter_ms", "dropped"), [(0, 0), (5, 0.15)])
def test_any_camera_is_resampled_to_the_network_s_rate(open_lifter, weights, fps, jitter_ms, dropped):
    rng = np.random.default_rng(1)
    times = np.arange(80) * 1e9 / fps + rng.uniform(0, jitter_ms, 80) * 1e6
    times[50:] += 6e8  # a pause that ends the history
    times = times[rng.random(80) >= dropped].astype(np.int64)
    times = times.tolist()
    keypoints = walk(len(times))
    expected, warming = naive(weights, times, keypoints)
    lifter = open_lifter()
    for frame, time in enumerate(times):
        lifted = lifter.step(time, People2D([7], keypoints[frame : frame + 1]), (WIDTH, HEIGHT))
        assert np.abs(lifted.joints_m[0] - expected[frame]).max() < TOLERANCE
        assert (lifted.person.tolist(), lifted.held.tolist(), lifted.warming.tolist()) == ([7], [False], [warming[frame]])
        np.testing.assert_array_equal(lifted.keypoints[0], keypoints[frame])


@pytest.mark.parametrize("times_ms", [[0, 33, 66, 66, 100, 66, 99, 133, 0, 0, 33]])
def test_time_that_stands_still_or_goes_back_is_defined(open_lifter, weights, times_ms):
    times = [time * 10**6 for time in times_ms]
    keypoints = walk(len(times))
    expected, _ = naive(weights, times, keypoints)
    lifter = open_lifter()
    for frame, time in enumerate(times):
        lifted = lifter.step(time, People2D([7], keypoints[frame : frame + 1]), (WIDTH, HEIGHT))
        assert np.abs(lifted.joints_m[0] - expected[frame]).max() < TOLERANCE


def frames_ns(count, fps=30):
    return [round(frame * 1e9 / fps) for frame in range(count)]


def test_everyone_has_a_history_of_their_own(open_lifter, weights):
    """Person 1 comes in a frame between two ticks, person 2 later; the order of rows is theirs."""
    walks = [walk(40, seed) for seed in range(3)]
    first_frame = [0, 11, 22]
    times = frames_ns(40)
    times[11] += 12_000_000  # tick 11 has passed by then: it lies on the way from frame 10 to frame 11
    tick_11 = walks[0][10] + (walks[0][11] - walks[0][10]) * float(PERIOD_NS / (PERIOD_NS + 12_000_000))
    lifter = open_lifter(slots=4)
    columns = {0: [], 1: [], 2: []}
    for frame, time in enumerate(times):
        here = [person for person in (2, 0, 1) if frame >= first_frame[person]]
        lifted = lifter.step(time, People2D(here, [walks[person][frame] for person in here]), (WIDTH, HEIGHT))
        assert lifted.person.tolist() == here
        if frame == 11:
            columns[0].append(tick_11)
        for row, person in enumerate(here):
            history = [*columns[person], walks[person][frame]]
            assert np.abs(lifted.joints_m[row] - judged(weights, history)).max() < TOLERANCE
            assert lifted.warming[row] == (len(history) < 9)
            if frame != 11:
                columns[person] = history


def test_who_is_not_seen_is_held_at_confidence_zero_then_gone(open_lifter, weights):
    keypoints = walk(12)
    lifter = open_lifter(hold_s=0.5)
    columns = []
    for frame, time in enumerate(frames_ns(40)):
        seen = frame < 12
        lifted = lifter.step(
            time, People2D([3] if seen else [], keypoints[frame : frame + 1] if seen else np.zeros((0, 21, 3))), (WIDTH, HEIGHT)
        )
        columns.append(keypoints[frame] if seen else keypoints[11] * (1, 1, 0))
        if frame > 11 + 15:
            assert len(lifted.person) == 0 and lifted.joints_m.shape == (0, 21, 3)
            continue
        assert (lifted.person.tolist(), lifted.held.tolist()) == ([3], [not seen])
        assert np.abs(lifted.joints_m[0] - judged(weights, columns)).max() < TOLERANCE
        np.testing.assert_array_equal(lifted.keypoints[0], np.float32(columns[-1]))
        assert (lifted.confidence[0] > 0).all() if seen else not lifted.confidence.any()


@pytest.mark.parametrize(("away_frames", "history_is_kept"), [(10, True), (15, True), (16, False)])
def test_who_returns_soon_keeps_the_history(open_lifter, weights, away_frames, history_is_kept):
    keypoints = walk(30 + away_frames)
    lifter = open_lifter()
    columns = []
    for frame, time in enumerate(frames_ns(30 + away_frames)):
        seen = not 14 < frame <= 14 + away_frames
        lifted = lifter.step(time, People2D([3] if seen else [], keypoints[frame : frame + 1] if seen else []), (WIDTH, HEIGHT))
        if frame == 15 + away_frames - 1 and not history_is_kept:
            assert len(lifted.person) == 0
            columns = []
            continue
        columns.append(keypoints[frame] if seen else keypoints[14] * (1, 1, 0))
        assert np.abs(lifted.joints_m[0] - judged(weights, columns)).max() < TOLERANCE
    assert len(columns) == (30 + away_frames if history_is_kept else 15)


def test_more_people_than_slots_are_left_out_and_counted(open_lifter):
    lifter = open_lifter(slots=2)
    for time in frames_ns(5):
        lifted = lifter.step(time, People2D([5, 9, 4], walk(3)), (WIDTH, HEIGHT))
        assert lifted.person.tolist() == [5, 9]
    assert lifter.left_out == {"no free slot": 5}


def test_a_new_person_takes_the_slot_of_who_has_been_away_longest(open_lifter, weights):
    keypoints = walk(3)
    lifter = open_lifter(slots=2)
    times = frames_ns(5)
    lifter.step(times[0], People2D([1, 2], keypoints[:2]), (WIDTH, HEIGHT))
    lifter.step(times[1], People2D([2], keypoints[1:2]), (WIDTH, HEIGHT))
    lifter.step(times[2], People2D([], []), (WIDTH, HEIGHT))
    lifted = lifter.step(times[3], People2D([8], keypoints[2:]), (WIDTH, HEIGHT))
    assert (lifted.person.tolist(), lifted.held.tolist()) == ([8, 2], [False, True])
    assert np.abs(lifted.joints_m[0] - judged(weights, keypoints[2:])).max() < TOLERANCE
    assert lifter.left_out == {}


def test_everyone_has_a_height_of_their_own(open_lifter):
    """The same walk three times: of the height of all, of half of it, and of a quarter."""
    keypoints = walk(20)
    lifter = open_lifter(slots=3, body_heights_m={2: 1.0, 9: 0.5})
    for frame, time in enumerate(frames_ns(20, fps=25)):
        lifted = lifter.step(time, People2D([9, 1, 2], keypoints[[frame] * 3]), (WIDTH, HEIGHT))
        np.testing.assert_array_equal(lifted.joints_m, lifted.joints_m[1] * np.float32([0.25, 1, 0.5])[:, None, None])
    assert np.isfinite(lifted.joints_m).all()


def test_an_id_given_twice_counts_once(open_lifter):
    lifter = open_lifter(slots=2)
    lifted = lifter.step(0, People2D([5, 5], walk(2)), (WIDTH, HEIGHT))
    assert lifted.person.tolist() == [5]
    assert lifter.left_out == {"the same id twice": 1}


def test_every_person_has_keypoints(open_lifter):
    with pytest.raises(ValueError, match="2 ids for the keypoints of 1 people"):
        open_lifter().step(0, People2D([1, 2], walk(1)), (WIDTH, HEIGHT))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_what_is_not_a_number_is_missing(open_lifter, weights, bad, column):
    keypoints = walk(10)
    spoilt = keypoints.copy()
    spoilt[4:7, 5, column] = bad
    missing = keypoints.copy()
    missing[4:7, 5] = 0
    if column == 2 and bad == 1e30:
        missing[4:7, 5] = np.c_[keypoints[4:7, 5, :2], np.ones(3)]  # too sure of itself, but there
    filler = OcclusionFiller()
    expected = np.array([filler.fill(time, points) for time, points in zip(frames_ns(10), missing)])
    lifter = open_lifter()
    for frame, time in enumerate(frames_ns(10)):
        lifted = lifter.step(time, People2D([7], spoilt[frame : frame + 1]), (WIDTH, HEIGHT))
        np.testing.assert_array_equal(lifted.keypoints[0, :, :2], expected[frame, :, :2])
        np.testing.assert_array_equal(lifted.keypoints[0, :, 2], missing[frame, :, 2])
        assert np.abs(lifted.joints_m[0] - judged(weights, expected[: frame + 1])).max() < TOLERANCE


def test_a_keypoint_never_known_stands_in_the_middle_of_the_body(open_lifter):
    keypoints = walk(1)
    keypoints[0, 9] = np.nan
    others = np.delete(keypoints[0, : len(COCO_KEYPOINTS)], 9, axis=0)[:, :2]
    lifted = open_lifter().step(0, People2D([7], keypoints), (WIDTH, HEIGHT))
    assert lifted.keypoints[0, 9] == pytest.approx([*(others.min(0) + others.max(0)) / 2, 0])
    assert np.isfinite(lifted.joints_m).all()


def test_a_foot_never_known_is_nowhere_and_stays_where_it_was_known_last():
    seen = walk(1)[0]
    seen[18] = 0
    points, without_feet = (plausible(of[None], None, WIDTH, HEIGHT)[0] for of in (seen, seen[:17]))
    person = Person(0, 0, without_feet)
    assert (person.keypoints[17:] == 0).all()
    person.see(1, points)
    np.testing.assert_array_equal(person.keypoints, seen)
    person.miss()
    np.testing.assert_array_equal(person.keypoints, seen * (1, 1, 0))


def test_a_keypoint_that_is_found_again_does_not_travel(open_lifter, weights):
    """A tick between the two measurements sees it where it is, with half the confidence."""
    keypoints = np.repeat(walk(1), 2, axis=0)
    keypoints[1, 4, :2] += 100
    lost = keypoints.copy()
    lost[0, 4] = np.nan
    lifter = open_lifter()
    lifter.step(0, People2D([7], lost[:1]), (WIDTH, HEIGHT))
    lifted = lifter.step(round(2 * PERIOD_NS), People2D([7], lost[1:]), (WIDTH, HEIGHT))
    others = np.delete(keypoints[0, : len(COCO_KEYPOINTS)], 4, axis=0)[:, :2]
    unknown, halfway = keypoints[0].copy(), keypoints[1].copy()
    unknown[4] = (*(others.min(0) + others.max(0)) / 2, 0)
    halfway[4, 2] /= 2
    assert np.abs(lifted.joints_m[0] - judged(weights, [unknown, halfway, keypoints[1]])).max() < TOLERANCE


def test_a_person_of_whom_all_is_missing_is_not_seen(open_lifter):
    lifter = open_lifter(slots=2)
    lifter.step(0, People2D([1], walk(1)), (WIDTH, HEIGHT))
    lifted = lifter.step(33_333_333, People2D([1, 2], np.full((2, 21, 3), np.nan)), (WIDTH, HEIGHT))
    assert (lifted.person.tolist(), lifted.held.tolist()) == ([1], [True])
    assert np.isfinite(lifted.joints_m).all() and np.isfinite(lifted.keypoints).all()
    assert lifter.left_out == {"no keypoints": 1}


def test_nobody_is_an_answer(open_lifter):
    lifted = open_lifter().step(0, People2D([], []), (WIDTH, HEIGHT))
    *arrays, delay_ns = vars(lifted).values()
    assert delay_ns == 0
    shapes = [array.shape for array in arrays]
    assert shapes == [(0,), (0, 21, 3), (0, 21, 3), (0, 21, 3), (0, 3), (0, 21), (0, 4), (0,), (0,)]
    assert [array.dtype.name for array in arrays] == ["int64", *["float32"] * 5, "bool", "bool", "bool"]


@pytest.mark.parametrize("focal_px", [None, 900.0])
def test_pictures_of_other_sizes_with_the_same_view_go_on(open_lifter, focal_px):
    """Every third picture is twice as large, every fourth has half the size."""
    keypoints = walk(40)
    plain, mixed = open_lifter(focal_px=focal_px), open_lifter(focal_px=focal_px)
    for frame, t_ns in enumerate(frames_ns(40)):
        factor = 2 if frame % 3 == 2 else 0.5 if frame % 4 == 3 else 1
        given = keypoints[frame : frame + 1].copy()
        given[..., :2] = (given[..., :2] + 0.5) * factor - 0.5
        one = plain.step(t_ns, People2D([7], keypoints[frame : frame + 1]), (WIDTH, HEIGHT))
        other = mixed.step(t_ns, People2D([7], given), (round(factor * WIDTH), round(factor * HEIGHT)))
        assert np.abs(one.joints_m - other.joints_m).max() < TOLERANCE
        np.testing.assert_allclose(other.root_m, one.root_m, rtol=1e-3)
        np.testing.assert_allclose(other.keypoints, given, rtol=0, atol=1e-3)
        assert one.warming == other.warming


def test_a_picture_of_another_shape_starts_anew(open_lifter, weights):
    keypoints = walk(3)
    lifter = open_lifter()
    lifter.step(0, People2D([7], keypoints[:1]), (WIDTH, HEIGHT))
    lifted = lifter.step(33_333_333, People2D([7], keypoints[1:2]), (WIDTH, HEIGHT + 2))
    assert np.abs(lifted.joints_m[0] - judged(weights, keypoints[1:2])).max() < TOLERANCE


def test_a_joint_is_as_sure_as_its_keypoints(open_lifter):
    keypoints = walk(1)
    confidence = dict(zip(KEYPOINTS, keypoints[0, :, 2]))
    joints = dict(zip(JOINTS, open_lifter().step(0, People2D([7], keypoints), (WIDTH, HEIGHT)).confidence[0]))
    for name in ("left_wrist", "right_toe"):
        assert joints[name] == pytest.approx(confidence[name])
    assert joints["hip"] == pytest.approx((confidence["left_hip"] + confidence["right_hip"]) / 2)
    assert joints["thorax"] == pytest.approx((confidence["left_shoulder"] + confidence["right_shoulder"]) / 2)


def test_the_same_stream_gives_the_same_bits(open_lifter):
    keypoints = walk(120).reshape(40, 3, 21, 3)
    times = [round(time * 1.3) for time in frames_ns(40)]

    def run():
        lifter = open_lifter(slots=3)
        return [lifter.step(time, People2D([1, 2, 3], keypoints[frame]), (WIDTH, HEIGHT)).joints_m for frame, time in enumerate(times)]

    np.testing.assert_array_equal(run(), run())


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"rate_hz": "30"}, "says no normalisation"),
        ({"rate_hz": "30", "normalisation": "polar"}, "normalisation 'polar' is unknown; known are: person_camera"),
        ({"normalisation": "person_camera"}, "says no rate_hz"),
        ({"rate_hz": "fast", "normalisation": "person_camera"}, "rate_hz = 'fast'; a number above 0"),
        ({"rate_hz": "0", "normalisation": "person_camera"}, "rate_hz = '0'"),
        ({"rate_hz": "30", "normalisation": "person_camera"}, r"features is \(63,\) a person; its normalisation needs"),
    ],
)
def test_a_file_that_is_no_lifter_says_why(weights, tmp_path, metadata, message):
    onnx.save(build(weights, metadata), tmp_path / "lifter.onnx")
    with pytest.raises(ModelError, match=message):
        Lifter(open_model(tmp_path / "lifter.onnx"))


class Broken:
    """A lifter whose `output` is `value` in some rows, while there are `rows`."""

    def __init__(self, model, output="pose", value=np.nan):
        self._model, self._output, self._value = model, output, value
        self.inputs, self.outputs, self.metadata = model.inputs, model.outputs, model.metadata
        self.rows = []

    def carrying(self, states, rows):
        self._carrying = self._model.carrying(states, rows)
        return self

    def run(self, tensors, keep):
        outputs = {name: array.copy() for name, array in self._carrying.run(tensors, keep).items()}
        outputs[self._output].reshape(len(outputs["pose"]), -1)[self.rows, 3] = self._value
        return outputs

    def close(self):
        pass


@pytest.mark.parametrize("flip", ["no", "yes"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("output", ["pose", "sigma", "contact"])
def test_who_is_lifted_to_no_numbers_has_no_pose_and_begins_anew(tmp_path, monkeypatch, output, value, flip):
    """The others' poses stay as they are, bit for bit."""
    monkeypatch.setattr(lifter_metadata, "NORMALISATIONS", {"plain": Plain()})
    monkeypatch.setattr(Plain, "sigma_to_camera", lambda self, sigma, view: sigma * np.abs(view), raising=False)
    weights = random_lifter((3, 3), 64, features=63, outputs=63, spread=True, contact=True)
    onnx.save(build(weights, {**PLAIN, "flip": flip}), tmp_path / "lifter.onnx")
    model = open_model(tmp_path / "lifter.onnx")
    broken = Broken(model, output, value)
    lifter, healthy, anew = (Lifter(of, slots=2, filtered=False) for of in (broken, model, model))
    walks = [walk(30, seed) for seed in (0, 1)]
    for frame, time in enumerate(frames_ns(30)):
        now = [walks[0][frame], walks[1][frame]]
        broken.rows = [1] if 10 <= frame < 14 else []
        seen = [8] if frame == 18 else [8, 9]
        lifted = lifter.step(time, People2D(seen, now[: len(seen)]), (WIDTH, HEIGHT))
        other = healthy.step(time, People2D(seen, now[: len(seen)]), (WIDTH, HEIGHT))
        assert lifted.person.tolist() == ([8] if broken.rows else [8, 9])
        for told in (lifted.joints_m, lifted.sigma_m, lifted.keypoints, lifted.confidence):
            assert np.isfinite(told).all()
        assert lifted.joints_m[0].tobytes() == other.joints_m[0].tobytes()
        if frame >= 14:
            np.testing.assert_allclose(
                lifted.joints_m[1], anew.step(time, People2D(seen[1:], now[1 : len(seen)]), (WIDTH, HEIGHT)).joints_m[0], atol=TOLERANCE
            )
            assert lifted.warming.tolist() == [False, frame < 22]
    assert lifter.left_out == {"no numbers from the network": 4}


def test_a_lifter_without_feet_does_not_see_them_and_says_nothing_of_them(tmp_path, monkeypatch):
    """The 17 are the same bits whatever is said of the feet, where nothing is hidden: feet may tell where a hidden keypoint is."""
    monkeypatch.setattr(lifter_metadata, "NORMALISATIONS", {"plain": Plain()})
    onnx.save(build(random_lifter((3, 3), 64, features=51), {"rate_hz": "30", "normalisation": "plain"}), tmp_path / "lifter.onnx")
    with_feet, without, missing = (Lifter(open_model(tmp_path / "lifter.onnx")) for _ in range(3))
    keypoints = walk(20)
    for frame, time in enumerate(frames_ns(20)):
        one = with_feet.step(time, People2D([7], keypoints[frame : frame + 1]), (WIDTH, HEIGHT))
        for other, given in ((without, keypoints[:, :17]), (missing, keypoints * (np.arange(21) < 17)[:, None])):
            lifted = other.step(time, People2D([7], given[frame : frame + 1]), (WIDTH, HEIGHT))
            assert one.joints_m.tobytes() == lifted.joints_m.tobytes()
            assert (lifted.keypoints[0, 17:, 2] == 0).all()
        assert np.isfinite(one.joints_m[0, :17]).all() and np.isnan(one.joints_m[0, 17:]).all()
        assert (one.confidence[0, 17:] == 0).all() and (one.keypoints[0, 17:, 2] > 0).all() and not one.contact.any()


def test_of_whom_only_the_feet_are_there_is_not_seen(open_lifter):
    feet = walk(1)
    feet[:, :17] = np.nan
    lifter = open_lifter()
    assert len(lifter.step(0, People2D([7], feet), (WIDTH, HEIGHT)).person) == 0
    assert lifter.left_out == {"no keypoints": 1}


@pytest.mark.parametrize("key", ["keypoints", "joints"])
def test_a_lifter_of_other_keypoints_or_joints_is_refused(weights, tmp_path, key):
    names = [*PLAIN[key].split()[:-4], "left_toe", "left_heel", "right_toe", "right_heel"]
    onnx.save(build(weights, {**PLAIN, "normalisation": "person_camera", key: " ".join(names)}), tmp_path / "lifter.onnx")
    with pytest.raises(ModelError, match=f"says {key} = .*'left_heel left_toe right_heel right_toe' behind it"):
        Lifter(open_model(tmp_path / "lifter.onnx"))
