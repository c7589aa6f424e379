"""`poselift evaluate`, the real command with the shipped lifter, on made-up files of Human3.6M's form."""

from __future__ import annotations

import json
from pathlib import Path

from h36m_files import contents, write
from pipeline_run import poselift


def test_the_shipped_lifter_is_measured(tmp_path: Path) -> None:
    keypoints, positions = write(tmp_path, *contents())
    done = poselift(
        "evaluate", "--dataset", "h36m", "--keypoints", keypoints, "--positions", positions, "--json", tmp_path / "figures.json"
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert "Walking" in done.stdout and "average" in done.stdout
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert all(f"{error_mm:.1f}" in done.stdout for error_mm in figures["average"].values())
    assert 0 < figures["average"]["mpjpe_mm"] < 150, "somebody who stands is not lifted as one"


def test_each_file_in_the_others_place_is_one_line(tmp_path: Path) -> None:
    keypoints, positions = write(tmp_path, *contents())
    done = poselift("evaluate", "--keypoints", positions, "--positions", keypoints)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"poselift: {keypoints}: holds positions_2d, not positions_3d; give it with --keypoints"]


def test_a_lifter_that_is_none_is_one_line(tmp_path: Path) -> None:
    keypoints, positions = write(tmp_path, *contents())
    (tmp_path / "no.onnx").write_bytes(b"no network")
    done = poselift("evaluate", "--keypoints", keypoints, "--positions", positions, "--lifter", tmp_path / "no.onnx")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "no.onnx" in done.stderr, done.stderr
