"""EfficientDet's numbers turned into boxes: against plain loops, a picture of known people, and the network it was converted from."""

from __future__ import annotations

import math
from itertools import islice

import cv2
import numpy as np
import pytest
from demo_clip import pictures, pulled

from poselift.models.backends.backend import open_model
from poselift.models.detection.boxes import overlaps
from poselift.models.detection.efficientdet import INPUT_SIZE, anchors, decode, scaled_into

ANCHORS = anchors()


def answer(boxes: dict[int, tuple[float, float, float, float, float]]) -> dict[str, np.ndarray]:
    """What the network says: anchor -> score, then y, x, log height, log width; all else is no person."""
    scores, raw = np.zeros((1, len(ANCHORS), 1), np.float32), np.zeros((1, len(ANCHORS), 4), np.float32)
    for anchor, (score, *box) in boxes.items():
        scores[0, anchor, 0], raw[0, anchor] = score, box
    return {"scores": scores, "boxes": raw}


def test_anchors_are_those_of_the_configuration() -> None:
    """One by one: strides 8 to 128, rows of cells, three scales a third of an octave apart, square, wide and tall."""
    expected = []
    for level in range(3, 8):
        stride = 2**level
        cells = math.ceil(320 / stride)
        for row in range(cells):
            for column in range(cells):
                for octave in range(3):
                    side = 3 * stride * 2 ** (octave / 3)
                    for width, height in ((1, 1), (1.4, 0.7), (0.7, 1.4)):
                        expected.append(((column + 0.5) * stride, (row + 0.5) * stride, width * side, height * side))
    np.testing.assert_allclose(ANCHORS, expected, rtol=1e-6)


def test_a_box_is_told_in_sizes_of_its_anchor() -> None:
    number = 7000
    x, y, width, height = ANCHORS[number].tolist()
    (box,), (score,) = decode(answer({number: (0.9, 0.5, -0.25, math.log(2), math.log(0.5))}), ANCHORS, 0.5, 10)
    assert score == np.float32(0.9)
    np.testing.assert_allclose(box, (x - 0.25 * width, y + 0.5 * height, 0.5 * width, 2 * height), rtol=1e-5)


def test_of_boxes_on_one_person_the_surest_stays() -> None:
    """As a plain loop over all pairs has it, and no more than are asked for."""
    rng = np.random.default_rng(4)
    chosen = rng.choice(np.arange(15000, 19000), 60, replace=False)
    raw = answer({int(number): (float(rng.uniform(0.3, 1)), *rng.normal(0, 0.2, 4)) for number in chosen})
    boxes, scores = decode(raw, ANCHORS, 0.5, 100)
    candidates = sorted(((raw["scores"][0, number, 0], number) for number in chosen if raw["scores"][0, number, 0] >= 0.5), reverse=True)
    expected: list[np.ndarray] = []
    for _, number in candidates:
        y, x, log_height, log_width = raw["boxes"][0, number].astype(float)
        cx, cy, width, height = ANCHORS[number].astype(float)
        box = np.array([cx + x * width, cy + y * height, width * math.exp(log_width), height * math.exp(log_height)])
        if all(naive_overlap(box, other) <= 0.5 for other in expected):
            expected.append(box)
    assert 3 < len(expected) < len(candidates)
    np.testing.assert_allclose(boxes, expected, rtol=1e-6)
    assert (np.diff(scores) <= 0).all() and len(scores) == len(boxes)
    np.testing.assert_array_equal(decode(raw, ANCHORS, 0.5, 3)[0], boxes[:3])


def naive_overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union, by counting squares of a fine grid."""
    low, high = (np.minimum(one[:2] - one[2:] / 2, other[:2] - other[2:] / 2), np.maximum(one[:2] + one[2:] / 2, other[:2] + other[2:] / 2))
    x, y = (np.linspace(start, end, 400) for start, end in zip(low, high))
    inside = [
        (np.abs(x - box[0]) <= box[2] / 2)[:, None] & (np.abs(y - box[1]) <= box[3] / 2)[None] for box in (one, other)
    ]  # fmt: skip
    return float((inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum())


def test_overlaps_are_those_that_a_grid_counts() -> None:
    rng = np.random.default_rng(5)
    boxes = np.column_stack([rng.uniform(0, 50, (30, 2)), rng.uniform(20, 60, (30, 2))])
    np.testing.assert_allclose(overlaps(boxes, boxes[0]), [naive_overlap(boxes[0], box) for box in boxes], atol=0.02)
    assert overlaps(np.zeros((1, 4)), np.zeros(4)).tolist() == [0]


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 1e6])
def test_numbers_that_mean_nothing_are_no_box(wild: float) -> None:
    sound = {7000: (0.9, 0.0, 0.0, 0.0, 0.0)}
    for place in range(5):
        values = [0.95, 0.0, 0.0, 0.0, 0.0]
        values[place] = wild
        found, _ = decode(answer({**sound, 12000: tuple(values)}), ANCHORS, 0.5, 10)
        if place or not math.isfinite(wild):
            np.testing.assert_allclose(found, ANCHORS[[7000]], rtol=1e-6)


def test_noise_gives_no_more_than_are_asked_for() -> None:
    rng = np.random.default_rng(6)
    noise = {
        "scores": rng.random((1, len(ANCHORS), 1)).astype(np.float32),
        "boxes": rng.normal(size=(1, len(ANCHORS), 4)).astype(np.float32),
    }
    assert len(decode(noise, ANCHORS, 0.5, 8)[0]) == 8


@pytest.mark.parametrize(("width", "height"), [(1768, 994), (480, 1920), (320, 320), (100, 40), (4000, 1)])
def test_the_picture_lies_in_the_upper_left_corner(width: int, height: int) -> None:
    picture = np.full((height, width, 3), (10, 20, 30), np.uint8)
    small, scale = scaled_into(picture)
    assert small.shape == (1, INPUT_SIZE, INPUT_SIZE, 3) and scale == INPUT_SIZE / max(width, height)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    assert (small[0, :rows, :columns] == (30, 20, 10)).all(), "red comes first"
    assert not small[0, rows:].any() and not small[0, :, columns:].any()


def test_both_people_of_the_demo_clip_are_found() -> None:
    (picture,) = islice(pictures(pulled("demo_clip")), 100, 101)
    small, scale = scaled_into(picture)
    boxes, _ = decode(open_model(pulled("efficientdet_lite0")).run({"picture": small}), ANCHORS, 0.3, 4)
    woman, *others = sorted((boxes / scale).tolist(), key=lambda box: -box[1])
    np.testing.assert_allclose(woman[:2], (1030, 722), atol=60)
    assert len(others) <= 1 and all(abs(x - 650) < 60 and abs(y - 260) < 60 for x, y, *_ in others)


def test_what_the_network_was_converted_from_says_the_same() -> None:
    """TFLite's own interpreter computes with 8 bit numbers throughout: that is the difference."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert, which has no wheel for this Python")
    from poselift.models.store import original_path
    from poselift.models.weights import read_manifest

    original = original_path(read_manifest()["efficientdet_lite0"], pulled("efficientdet_lite0").parent)
    interpreter = litert.Interpreter(str(original), num_threads=1)
    interpreter.allocate_tensors()
    network = open_model(pulled("efficientdet_lite0"))
    outputs = read_manifest()["efficientdet_lite0"].conversion.outputs
    apart = []
    for picture in islice(pictures(pulled("demo_clip")), 40, 221, 60):
        small, _ = scaled_into(picture)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], small)
        interpreter.invoke()
        theirs = {of["name"]: interpreter.get_tensor(of["index"]) for of in interpreter.get_output_details()}
        ours = network.run({"picture": small})
        scores, boxes = theirs[outputs["scores"].source][..., :1], theirs[outputs["boxes"].source]
        assert np.corrcoef(scores[scores > 0.1], ours["scores"][scores > 0.1])[0, 1] > 0.9
        sure = scores[0, :, 0] > 0.4
        apart.append(np.abs(boxes[0, sure] - ours["boxes"][0, sure]))
    assert len(np.concatenate(apart)) > 20 and np.median(np.concatenate(apart)) < 0.05


def test_the_picture_is_made_small_without_holes() -> None:
    """A thin line is not lost between the pixels that are taken."""
    picture = np.zeros((1080, 1920, 3), np.uint8)
    picture[:, 1003] = 255
    assert cv2.countNonZero(scaled_into(picture)[0][0, :180, :, 0]) >= 180
