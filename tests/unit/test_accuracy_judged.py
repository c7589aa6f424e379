"""`make accuracy` with the real judge, over two short clips: its frames are the judge's own, and every part goes through."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench.accuracy import judge as judging
from bench.accuracy import occlusion, rate, smoothness, swaps
from bench.accuracy.judge import FPS, SEED
from bench.accuracy.page import page
from bench.accuracy.study import Study
from poselift.common.errors import ModelError
from poselift.models.backends.backend import open_model
from poselift.models.store import path_of

SHARED = Path(os.environ.get("POSELIFT_SHARED", Path(__file__).parents[3] / "shared"))
JUDGE = SHARED / "evaluate_lifter.py"

pytestmark = pytest.mark.skipif(not JUDGE.is_file(), reason=f"{JUDGE} is not there: the judge is no part of the project")


@pytest.fixture(scope="module")
def judge():
    return judging.load_judge(JUDGE, None)


@pytest.fixture(scope="module")
def scenes(judge):
    return judging.scenes(judge)


def test_at_its_own_rate_a_scene_is_what_the_judge_shows(judge, scenes):
    for scene, (name, *shown, _contact, width_px, height_px) in zip(scenes, judge.seen(True, SEED)):
        truth_m, clean_px, noisy_px = (points[:, :17] for points in shown)
        times_s = scene.times_s(FPS)
        assert (scene.name, scene.width_px, scene.height_px, len(times_s)) == (name, width_px, height_px, len(truth_m))
        assert np.allclose(scene.truth_m(times_s), truth_m, atol=1e-6)
        found_px = scene.clean_px(scene.cut(times_s))
        assert np.allclose(found_px, clean_px, atol=1e-3)
        assert np.allclose(scene.noisy_px(found_px), noisy_px, atol=1e-3)
    assert len(scenes) == 30 and scenes[-1].name == name


def test_every_part_that_needs_no_dataset_goes_through(judge, scenes, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'poselift[train]'")
    try:
        model = open_model(path_of("lifter"))
    except ModelError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(rate, "RATES_HZ", (24, 30))
    monkeypatch.setattr(occlusion, "REPEATS", 1)
    monkeypatch.setattr(swaps, "REPEATS", 1)
    monkeypatch.setattr(smoothness, "POSES", 2)
    shortest = sorted(scenes, key=lambda scene: len(scene.joints_m))[:2]
    study = Study(judge, shortest, model, None, tmp_path, tmp_path, tmp_path / "images")
    parts = {"rate": rate, "occlusion": occlusion, "swaps": swaps, "smoothness": smoothness}
    findings = {name: part.measure(study) for name, part in parts.items()}
    text = page([], findings)
    assert "nan" not in text
    pictures = [file for finding in findings.values() for file, _ in finding.pictures]
    assert len(pictures) == len(parts) and all((tmp_path / "images" / file).stat().st_size > 5000 for file in pictures)
