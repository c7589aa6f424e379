"""Following people with top-down networks of the user's own: made-up ones, which see spots of known colours or say what they always say."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import TensorProto
from sim_acl.om import make_om
from spot_people import GREY, fixed_network, keypoints_px, paint, spot_network

from poselift.common.errors import ModelError
from poselift.models.backends.backend import Tensor, open_model
from poselift.models.detection import efficientdet
from poselift.models.detection.coco_people import CocoPeople, CocoPerson, Upright
from poselift.models.detection.top_down import People
from poselift.models.tracking.pose_tracker import PoseTracker, Tracked

WIDTH, HEIGHT = 192, 256
LEFT, RIGHT = (150.0, 240.0, 260.0), (460.0, 230.0, 320.0)
"""Two people: x and y of their middle, and their height, px."""
LEGS = (13, 14, 15, 16)
FLOAT = np.dtype(np.float32)


class Finder:
    """Sees the people that the test says are there, in the whole picture."""

    inputs = (Tensor("picture", np.dtype(np.uint8), (1, 320, 320, 3)),)
    outputs = (Tensor("boxes", FLOAT, (1, 19206, 4)), Tensor("scores", FLOAT, (1, 19206, 1)))

    def __init__(self) -> None:
        self.people: Sequence[tuple[float, float, float]] = ()
        self.scale = 320 / 640

    def run(self, tensors):
        boxes, scores = np.zeros((1, 19206, 4), np.float32), np.zeros((1, 19206, 1), np.float32)
        for number, (x_px, y_px, height_px) in enumerate(self.people):
            centre_x, centre_y, width, height = efficientdet.anchors()[1000 * number]
            x, y, size = x_px * self.scale, y_px * self.scale, height_px * self.scale
            boxes[0, 1000 * number] = (y - centre_y) / height, (x - centre_x) / width, np.log(size / height), np.log(0.55 * size / width)
            scores[0, 1000 * number] = 0.9
        return {"boxes": boxes, "scores": scores}


def picture_of(*people: tuple[float, float, float], hidden: Sequence[int] = ()) -> np.ndarray:
    picture = np.full((480, 640, 3), GREY, np.uint8)
    for x_px, y_px, height_px in people:
        paint(picture, keypoints_px(x_px, y_px, height_px), height_px, hidden)
    return picture


class Watching:
    """Up to four people, who are followed through one stream of pictures."""

    def __init__(self, network: Path, people: int = 4, min_presence: float = 0.5) -> None:
        self.finder, self.frame = Finder(), 0
        self.tracker = PoseTracker(CocoPeople(self.finder, open_model(network), 0.5, min_presence, people))
        self.state: Tracked[People[Upright]] = Tracked()

    def see(self, picture: np.ndarray, *people: tuple[float, float, float], frames: int = 1) -> list[int]:
        """The ids in the last of so many more of these pictures, in which the finder sees these people."""
        self.finder.people = people
        for _ in range(frames):
            self.state, found = self.tracker.step(self.state, picture, self.frame * 33_000_000)
            self.state, self.frame = self.tracker.look_around(self.state, picture), self.frame + 1
        self.keypoints = found.keypoints
        return found.person.tolist()


@pytest.fixture(params=["heatmaps", "simcc"])
def network(request, tmp_path: Path) -> Path:
    return spot_network(tmp_path / "pose.onnx", request.param)


def test_two_people_are_followed_at_the_spots_that_they_show(network):
    watching = Watching(network)
    assert watching.see(picture_of(LEFT, RIGHT), LEFT, RIGHT) == [1, 2], "in the first picture"
    assert watching.see(picture_of(LEFT, RIGHT), LEFT, RIGHT) == [1, 2]
    for keypoints, person in zip(watching.keypoints, (RIGHT, LEFT)):  # the largest first
        np.testing.assert_allclose(keypoints[:17, :2], keypoints_px(*person), atol=1.5)
        assert (keypoints[:17, 2] > 0.7).all() and (keypoints[:, 2] <= 1).all() and not keypoints[17:].any()
    for step in range(1, 6):
        left, right = (LEFT[0] + 10 * step, *LEFT[1:]), (RIGHT[0], RIGHT[1], RIGHT[2] - 8 * step)
        assert watching.see(picture_of(left, right)) == [1, 2]
        np.testing.assert_allclose(watching.keypoints[0, :17, :2], keypoints_px(*right), atol=1.5)
        np.testing.assert_allclose(watching.keypoints[1, :17, :2], keypoints_px(*left), atol=1.5)


def test_who_is_gone_is_lost_and_who_is_hidden_in_part_is_not(network):
    watching = Watching(network, min_presence=0.4)
    assert watching.see(picture_of(LEFT), LEFT, frames=2) == [1]
    assert watching.see(picture_of(LEFT, hidden=LEGS)) == [1]
    assert (watching.keypoints[0, LEGS, 2] < 0.1).all()
    assert watching.see(picture_of(LEFT, hidden=range(8))) == [1], "9 of 17 are there"
    assert watching.see(picture_of(LEFT, hidden=range(12))) == []


def test_legs_are_seen_again_however_long_they_were_hidden(network):
    watching = Watching(network)
    assert watching.see(picture_of(LEFT), LEFT, frames=2) == [1]
    assert watching.see(picture_of(LEFT, hidden=LEGS), frames=5) == [1]
    assert watching.see(picture_of(LEFT)) == [1]
    np.testing.assert_allclose(watching.keypoints[0, :17, :2], keypoints_px(*LEFT), atol=1.5)


def test_in_a_picture_of_another_size_people_are_where_they_were(network):
    watching = Watching(network)
    watching.see(picture_of(LEFT, RIGHT), LEFT, RIGHT, frames=2)
    before = watching.keypoints
    small = cv2.resize(picture_of(LEFT, RIGHT), (320, 240), interpolation=cv2.INTER_AREA)
    assert watching.see(small) == [1, 2]
    np.testing.assert_allclose(watching.keypoints[..., :2] * 2 + 0.5, before[..., :2], atol=3)


def test_a_person_is_found_where_one_is_followed_at_most(network):
    watching = Watching(network, people=1)
    assert watching.see(picture_of(LEFT, RIGHT), LEFT, RIGHT, frames=2) == [1]
    np.testing.assert_allclose(watching.keypoints[0, :17, :2], keypoints_px(*RIGHT), atol=1.5)


def test_an_open_first_axis_is_one_picture_and_the_size_is_the_graphs(tmp_path: Path):
    for height, width in ((256, 192), (384, 288), (256, 256)):
        watching = Watching(spot_network(tmp_path / "pose.onnx", "simcc", height, width, batch="batch", told=False))
        assert watching.see(picture_of(LEFT), LEFT, frames=2) == [1]
        np.testing.assert_allclose(watching.keypoints[0, :17, :2], keypoints_px(*LEFT), atol=1.5)


def test_on_the_npu_people_are_where_they_are_on_the_cpu(network, npu, tmp_path: Path):
    make_om(network, tmp_path / "pose.om", half=False)
    person = np.array([*LEFT[:2], 0.55 * LEFT[2], LEFT[2]])
    with closing(open_model(tmp_path / "pose.om")) as on_npu:
        found = [CocoPerson(model, 0.5).confirm(picture_of(LEFT), person) for model in (open_model(network), on_npu)]
    np.testing.assert_allclose(found[1].keypoints, found[0].keypoints, rtol=1e-5)


def test_the_same_pictures_give_the_same_bits_and_a_bad_one_leaves_no_trace(network):
    def run(bad: int) -> list[bytes]:
        watching, found = Watching(network), []
        for step in range(4):
            before, frame = watching.state, watching.frame
            if step == bad:
                watching.see(picture_of(RIGHT))
                watching.state, watching.frame = before, frame
            watching.see(picture_of((LEFT[0] + 5 * step, *LEFT[1:])), LEFT)
            found.append(watching.keypoints.tobytes())
        return found

    assert run(bad=2) == run(bad=-1)


class Looking:
    """A network that keeps what it is shown, and gives `answer`."""

    metadata: dict[str, str] = {}
    inputs = (Tensor("input", FLOAT, (1, 3, HEIGHT, WIDTH)),)

    def __init__(self, answer: dict[str, np.ndarray]) -> None:
        self.answer, self.seen = answer, np.empty(0)

    def run(self, tensors):
        self.seen = tensors["input"]
        return self.answer


def peaks(x_bins: np.ndarray, y_bins: np.ndarray) -> dict[str, np.ndarray]:
    """SimCC, two values a pixel, with these maxima."""
    count = len(x_bins)
    x, y = np.zeros((1, count, 2 * WIDTH), np.float32), np.zeros((1, count, 2 * HEIGHT), np.float32)
    x[0, np.arange(count), x_bins] = y[0, np.arange(count), y_bins] = 0.9
    return {"simcc_x": x, "simcc_y": y}


@pytest.mark.parametrize(("box", "scale"), [((300, 200, 80, 240), (225, 300)), ((300, 200, 240, 100), (300, 400))])
def test_a_box_is_padded_and_widened_to_the_networks_form_as_in_mmpose(box, scale):
    """mmpose's formulas: scale = 1.25 x size, in the form of the input; keypoint = place / input x scale + centre - scale / 2."""
    rng = np.random.default_rng(0)
    bins = rng.integers(0, 2 * WIDTH, 17), rng.integers(0, 2 * HEIGHT, 17)
    seen = CocoPerson(Looking(peaks(*bins)), 0.5).confirm(np.zeros((600, 600, 3), np.uint8), np.array(box, float))
    expected = np.stack(bins, -1) / 2 / [WIDTH, HEIGHT] * scale + np.array(box[:2]) - np.array(scale) / 2
    np.testing.assert_allclose(seen.keypoints[:17, :2], expected, rtol=1e-5)


@pytest.mark.parametrize(("count", "feet"), [(26, (24, 20, 25, 21)), (133, (19, 17, 22, 20))])
def test_feet_are_where_halpe_and_coco_wholebody_have_them(count, feet):
    """Left heel, left big toe, right heel, right big toe; what else there is tells nothing."""
    bins = 3 * np.arange(count) % 380, 40 + np.arange(count)
    answer = peaks(*bins)
    seen = CocoPerson(Looking(answer), 0.5).confirm(np.zeros((600, 600, 3), np.uint8), np.array([300, 300, 150, 200.0]))
    places = seen.keypoints[:, :2] - seen.keypoints[0, :2]
    ours = [*range(17), *feet]
    np.testing.assert_allclose(places, (np.stack(bins, -1)[ours] - [0, 40]) / 2 * (250 / HEIGHT), atol=1e-3)
    others = [keypoint for keypoint in range(count) if keypoint not in range(17)]
    for of in answer.values():
        of[0, others] = 0
    without = CocoPerson(Looking(answer), 0.5).confirm(np.zeros((600, 600, 3), np.uint8), np.array([300, 300, 150, 200.0]))
    assert without.known == seen.known and without.body.tolist() == seen.body.tolist() and not without.keypoints[17:, 2].any()


def test_the_network_sees_the_region_in_red_green_and_blue_normalised_and_black_outside_of_the_picture():
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[:, :200], picture[:, 200:] = (10, 20, 200), (250, 128, 0)  # blue, green, red
    network = Looking(peaks(np.arange(17), np.arange(17)))
    CocoPerson(network, 0.5).confirm(picture, np.array([200, 10, 120, 160.0]))  # 150 x 200: from 125, -90
    left, right, outside = network.seen[0, :, 200, 90], network.seen[0, :, 200, 102], network.seen[0, :, 100, 90]
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for found, rgb in ((left, (200, 20, 10)), (right, (0, 128, 250)), (outside, (0, 0, 0))):
        np.testing.assert_allclose(found, (np.array(rgb) / 255 - mean) / deviation, atol=1e-4)
    assert network.seen.dtype == np.float32 and network.seen.shape == (1, 3, HEIGHT, WIDTH)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_nobody_or_a_place(value):
    answer = peaks(np.arange(17), np.arange(17))
    person = CocoPerson(Looking(answer), 0.5)
    answer["simcc_x"][0, 3] = value
    seen = person.confirm(np.zeros((600, 600, 3), np.uint8), np.array([300, 300, 100, 200.0]))
    assert seen is None if np.isnan(value) else np.isfinite(seen.keypoints).all()


def test_who_is_seen_in_one_point_or_outside_of_the_picture_cannot_be_followed():
    dark = np.zeros((600, 600, 3), np.uint8)
    nowhere = CocoPerson(Looking(peaks(np.full(17, 50), np.full(17, 50))), 0.5)
    assert nowhere.confirm(dark, np.array([300, 300, 100, 200.0])) is None
    somewhere = CocoPerson(Looking(peaks(np.arange(17), np.arange(17))), 0.5)
    assert somewhere.confirm(dark, np.array([300, 300, 100, 200.0])) is not None
    assert somewhere.confirm(dark, np.array([-300, -300, 100, 200.0])) is None


SIMCC = {"simcc_x": np.zeros((1, 17, 384), np.float32), "simcc_y": np.zeros((1, 17, 512), np.float32)}


@pytest.mark.parametrize(
    ("shape", "dtype", "outputs", "message"),
    [
        (
            (1, 3, 256, 192),
            TensorProto.FLOAT,
            {"output": np.zeros((1, 133, 384), np.float32)},
            "has outputs output float32 [1, 133, 384] for",
        ),
        ((1, 3, 256, 192), TensorProto.FLOAT, {"kpts": np.zeros((1, 17, 3), np.int64)}, "has outputs kpts int64 [1, 17, 3] for a picture"),
        ((1, 256, 192, 3), TensorProto.FLOAT, SIMCC, "takes input float32 [1, 256, 192, 3]"),
        ((1, 3, 256, 192), TensorProto.UINT8, SIMCC, "takes input uint8 [1, 3, 256, 192]"),
        ((1, 3, 256, 192), TensorProto.INT16, SIMCC, "takes input object [1, 3, 256, 192]"),
        (("n", 3, "height", "width"), TensorProto.FLOAT, SIMCC, "takes input float32 [-1, 3, -1, -1]"),
        ((8, 3, 256, 192), TensorProto.FLOAT, SIMCC, "takes input float32 [8, 3, 256, 192]"),
    ],
)
def test_a_network_of_another_form_is_one_line_of_what_it_has_and_what_was_expected(shape, dtype, outputs, message, tmp_path: Path):
    path = fixed_network(tmp_path / "pose.onnx", outputs, shape, dtype)
    with pytest.raises(ModelError, match="expected") as refusal:
        CocoPerson(open_model(path), 0.5)
    assert str(refusal.value).startswith(f"this network {message}") and "\n" not in str(refusal.value)


def test_a_network_that_does_not_run_says_so():
    class Failing(Looking):
        def run(self, tensors):
            raise RuntimeError("a node is broken\nand more")

    with pytest.raises(ModelError, match=r"^this network does not run on a picture of 192x256 \(a node is broken\)$"):
        CocoPerson(Failing({}), 0.5)
