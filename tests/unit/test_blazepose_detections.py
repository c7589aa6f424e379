"""BlazePose's detector: anchors against MediaPipe's options, decoding, suppression against a naive one."""

from __future__ import annotations

import numpy as np
import pytest

from poselift.models.detection import blazepose_detections as detections


def anchors_layer_by_layer() -> list[tuple[float, float]]:
    """The rule of the ssd_anchors options, spelled out: layers of one stride are gathered, one anchor per aspect ratio and one more."""
    strides = [8, 16, 32, 32, 32]
    centers, layer = [], 0
    while layer < 5:
        last = layer
        per_cell = 0
        while last < 5 and strides[last] == strides[layer]:
            per_cell += 2
            last += 1
        side = -(-224 // strides[layer])
        for row in range(side):
            for column in range(side):
                centers += [((column + 0.5) / side, (row + 0.5) / side)] * per_cell
        layer = last
    return centers


def test_anchors_follow_the_published_options():
    centers = detections.anchors()
    assert centers.shape == (2254, 2)
    np.testing.assert_allclose(centers, np.array(anchors_layer_by_layer()) * 224, rtol=1e-6)
    np.testing.assert_allclose(centers[[0, 1, 2, -1]], [[4, 4], [4, 4], [12, 4], [208, 208]])


def answer(boxes, scores):
    return {"boxes": boxes[np.newaxis], "scores": scores[np.newaxis, :, np.newaxis]}


def test_decode_adds_the_anchor_and_takes_only_who_is_sure():
    centers = detections.anchors()
    boxes = np.zeros((2254, 12), np.float32)
    scores = np.full(2254, -200, np.float32)
    boxes[700] = [1, 2, 50, 60, 3, 4, 5, -60, 0, 0, 0, 0]
    scores[700] = 2
    scores[1500] = -0.01
    untouched = boxes.copy()
    people = detections.decode(answer(boxes, scores), centers, min_score=0.5)
    np.testing.assert_allclose(people.score, [1 / (1 + np.exp(-2))], rtol=1e-6)
    np.testing.assert_allclose(people.hip, [centers[700] + [3, 4]])
    np.testing.assert_allclose(people.circle, [centers[700] + [5, -60]])
    np.testing.assert_array_equal(boxes, untouched)


@pytest.mark.parametrize(("min_score", "count"), [(0.5, 2), (0.6, 1), (0.9, 0)])
def test_decode_needs_the_score_asked_for(min_score: float, count: int):
    scores = np.full(2254, -9, np.float32)
    scores[[0, 2000]] = np.log([0.55 / 0.45, 0.8 / 0.2])
    boxes = np.ones((2254, 12), np.float32)
    people = detections.decode(answer(boxes, scores), detections.anchors(), min_score)
    assert people.score.shape == (count,) and people.hip.shape == (count, 2) and people.circle.shape == (count, 2)


def merge_naively(score, corners, values):
    """Weighted non-maximum suppression with plain loops."""

    def area(box):
        return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)

    waiting = sorted(range(len(score)), key=lambda index: -score[index])
    people = []
    while waiting:
        best = waiting[0]
        group, rest = [], []
        for index in waiting:
            a, b = corners[best], corners[index]
            common = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
            (group if common / (area(a) + area(b) - common) > 0.3 else rest).append(index)
        weights = sum(score[index] for index in group)
        people.append((score[best], sum(score[index] * values[index] for index in group) / weights))
        waiting = rest
    return people


@pytest.mark.parametrize("seed", range(5))
def test_merge_equals_the_naive_suppression(seed: int):
    random = np.random.default_rng(seed)
    count = 40
    corner, size = random.uniform(0, 200, (count, 2)), random.uniform(20, 90, (count, 2))
    corners = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    score = random.uniform(0.5, 1, count).astype(np.float32)
    values = random.normal(size=(count, 4)).astype(np.float32)
    best, means = detections.merge(score, corners, values)
    expected = merge_naively(score.astype(float), corners.astype(float), values.astype(float))
    assert 1 < len(best) < count
    np.testing.assert_allclose(best, [person[0] for person in expected], rtol=1e-6)
    np.testing.assert_allclose(means, [person[1] for person in expected], rtol=1e-4, atol=1e-5)


def test_merge_ends_with_boxes_that_have_no_area():
    best, means = detections.merge(np.float32([0.9, 0.8]), np.zeros((2, 4), np.float32), np.float32([[1], [2]]))
    np.testing.assert_array_equal(best, np.float32([0.9, 0.8]))
    np.testing.assert_array_equal(means, [[1], [2]])
