"""The bench of ids: scenes hide whom they say for as long as they say, and the scores are those of the rules that the page tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.identity.actors import AWAY_M, FOCAL_PX, HEIGHT_PX, HELD_OUT, OTHERS, WIDTH_PX, Actor, Takes
from bench.identity.scenes import CLIPS, KINDS, PLACES, WALK_M_S, Scene, scenes_of
from bench.identity.stage import Truth, composed
from poselift.common.errors import UserError
from poselift.models.training.recordings import HELD_OUT as JUDGES
from poselift.models.training.recordings import subject

SIZE = (360, 200)
"""Height and width, px, of somebody at AWAY_M."""


def card(actor: Actor) -> Takes:
    """Somebody like a playing card, the upper half in the colour of their shirt."""
    pictures = np.zeros((5, *SIZE, 4), np.uint8)
    pictures[:, :, 10:-10] = (*actor.trousers, 255)
    pictures[:, : SIZE[0] // 2, 10:-10] = (*actor.shirt, 255)
    coco = np.stack([np.linspace(-90, 90, 17), np.linspace(-350, 0, 17)], -1)
    return Takes(pictures, np.zeros(pictures.shape[:3], np.int16), np.array([100, 360], np.float32), np.tile(coco, (5, 1, 1)))


def truth_of(scene: Scene, t_s: float) -> Truth:
    empty = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    return composed(scene, {person.actor: card(person.actor) for person in scene.people}, empty, t_s)[1]


def test_those_held_out_are_the_judges_and_nobody_else_is():
    assert {subject(actor.motion) for actor in HELD_OUT} == JUDGES
    assert not {subject(actor.motion) for actor in OTHERS} & JUDGES
    for cast in (HELD_OUT, OTHERS):
        assert len({actor.name for actor in cast}) == len(cast) == 10
        assert cast[-1][-2:] == cast[-2][-2:], "the last two wear the same"
        assert len({actor[-2:] for actor in cast[:-1]}) == len(cast) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_scenes_are_the_same_each_time_and_people_walk_no_faster_than_people(kind: str):
    scenes = scenes_of(kind, OTHERS)
    assert scenes == scenes_of(kind, OTHERS)
    assert [scene.name for scene in scenes] == [f"{kind.replace(' ', '-')}-{number}" for number in range(CLIPS)]
    for person in (person for scene in scenes for person in scene.people):
        at = np.array([person.at(frame / 10)[:2] for frame in range(90)])
        there = np.abs(at[:, 0]) < at[:, 1] / 2
        assert np.abs(np.diff(at[:, 0]))[there[1:] & there[:-1]].max(initial=0) * 10 < 1.6


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
def test_who_goes_behind_the_wall_is_not_seen_for_so_long(seconds: float):
    scene = scenes_of(f"hidden {seconds:g} s", OTHERS)[0]
    z_m = scene.people[0].at(0)[1]
    middle_s = 0.3 + 0.42 * z_m / WALK_M_S
    visible = [truth_of(scene, middle_s + at * seconds).visible[0] for at in (-1.4, -0.45, 0.45, 1.4)]
    assert visible[1] == visible[2] == 0 < visible[0] and visible[3] > 0
    assert truth_of(scene, 0).visible[0] == truth_of(scene, 2 * middle_s - 0.3).visible[0] == 1


def test_the_nearer_hides_the_farther_and_a_mirror_shows_twice():
    crossing = [truth_of(scenes_of("crossing", OTHERS)[0], t_s) for t_s in (0.0, 2.5, 5.0)]
    assert [truth.visible[0] for truth in crossing] == [1, 1, 1]
    assert [truth.visible[1] > 0.5 for truth in crossing] == [True, False, True]
    mirror = truth_of(scenes_of("mirror image", OTHERS)[0], 1.0)
    assert mirror.who == (0, -1) and mirror.visible[1] > 0.2


def test_a_body_is_pasted_where_its_keypoints_are():
    scene = scenes_of("same clothes", OTHERS)[0]
    truth = truth_of(scene, 0)
    np.testing.assert_allclose(truth.whole, truth.seen, atol=14)
    for person, box in zip(scene.people, truth.whole):
        x_m, z_m, _ = person.at(0)
        assert box[[0, 2]].mean() == pytest.approx(FOCAL_PX * x_m / z_m + WIDTH_PX / 2, abs=2)
        assert box[3] - box[1] == pytest.approx(350 * AWAY_M / z_m, abs=2)


def picture(*people: tuple[int, float, float]) -> Truth:
    """Somebody for each of (who, left px, visible)."""
    boxes = np.array([(left, 100, left + 80, 300) for _, left, _ in people], float).reshape(-1, 4)
    return Truth(tuple(who for who, _, _ in people), boxes, boxes, np.array([visible for _, _, visible in people]))


def scored(*pictures: tuple[Truth, dict[int, float]]):
    """The score of pictures with boxes: id -> left px."""
    scores = pytest.importorskip("bench.identity.scores", reason="needs motmetrics: pip install 'poselift[train]'")
    from bench.identity.watch import Boxes

    rows = [(frame, left, person) for frame, (_, boxes) in enumerate(pictures) for person, left in boxes.items()]
    boxes = np.array([(left, 100, left + 80, 300) for _, left, _ in rows], float).reshape(-1, 4)
    of = Boxes(np.array([row[0] for row in rows]), boxes, np.array([row[2] for row in rows], float))
    return scores.score([([truth for truth, _ in pictures], of)])


def test_ids_that_stay_are_right_and_an_exchange_is_two_switches():
    both = picture((0, 100, 1), (1, 400, 1))
    assert scored(*[(both, {5: 100, 7: 400})] * 4)[:5] == (1, 1, 1, 0, 0)
    exchanged = scored(*[(both, {5: 100, 7: 400})] * 2, *[(both, {5: 400, 7: 100})] * 2)
    assert exchanged.switches == 2 and exchanged.idf1 == 0.5 and exchanged.boxes_f1 == 1


def test_who_is_hidden_and_a_mirror_image_neither_count_nor_cost():
    there = picture((0, 100, 1), (1, 400, 0.3), (-1, 700, 1))
    assert scored((there, {1: 100}), (there, {1: 100, 2: 400, 3: 700})) == (1, 1, 1, 0, 0, 1)
    cost = scored((there, {1: 100, 2: 250}))
    assert cost.mota == 0 and cost.boxes_f1 == pytest.approx(2 / 3), "a box on nobody costs"


def test_of_more_people_than_places_those_followed_count():
    crowd = picture(*((who, 100 * who, 1.0) for who in range(8)))
    assert scored((crowd, {who: 100 * who for who in range(4, 4 + PLACES)}))[:3] == (1, 1, 1)
    assert scored((crowd, {1: 100, 2: 200, 3: 300})).mota == 0.75, "one place is empty"


def test_without_motion_there_is_one_clear_line(tmp_path: Path):
    pytest.importorskip("motmetrics", reason="needs motmetrics: pip install 'poselift[train]'")
    from bench.identity.__main__ import main

    with pytest.raises(UserError, match=r"nothing.npz: there is no recorded motion .* give --motion"):
        main(motion=tmp_path / "nothing.npz", out=tmp_path)
    with pytest.raises(UserError, match="no such kind: nonsense; there are crossing, "):
        main(["nonsense"], motion=Path(__file__), out=tmp_path)
