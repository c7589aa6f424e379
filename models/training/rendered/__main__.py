"""`python -m poselift.models.training.rendered OUT_DIR --motion FOLDER`: render people, have BlazePose watch them, keep what it says."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from poselift.common.atomic import at_once
from poselift.common.errors import ModelError
from poselift.models.backends.backend import open_model
from poselift.models.store import path_of
from poselift.models.training.rendered.clip import PICTURES, Scene, load_sources, watched
from poselift.models.training.rendered.watched import Watching


def main() -> None:
    """Make the clips that are not there yet."""
    parser = argparse.ArgumentParser(prog="python -m poselift.models.training.rendered", description=__doc__)
    parser.add_argument("output", type=Path, metavar="OUT_DIR", help="folder for clip-SEED-NUMBER.npz; what is there stays")
    parser.add_argument("--motion", type=Path, required=True, help="folder with cmu_h36m17.npz, cmu_feet.npz and cmu_more.npz")
    parser.add_argument("--pictures", type=int, default=120_000, help=f"how many in all, {PICTURES} a clip (default: 120000)")
    parser.add_argument("--minutes", type=float, help="stop after so many; the same command goes on from there")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same clips")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    make(arguments.output, arguments.motion, arguments.pictures, arguments.minutes, arguments.seed)


def make(output: Path, motion: Path, pictures: int, minutes: float | None, seed: int) -> None:
    """Clips until so many pictures are in `output`, or the time is up. Raises ModelError."""
    if not hasattr(cv2, "triangleRasterize"):
        raise ModelError(f"rendering needs OpenCV 5, here is {cv2.__version__}; type: pip install 'poselift[train]'")
    clips, bodies = load_sources(motion, output)
    blazepose = Watching(*(open_model(path_of(name), threads=1) for name in ("blazepose_detector", "blazepose_landmarks")))
    started, made = time.monotonic(), 0
    for number in range(-(-pictures // PICTURES)):
        path = output / f"clip-{seed}-{number:06d}.npz"
        if path.is_file():
            continue
        if minutes is not None and time.monotonic() - started > 60 * minutes:
            break
        kept = watched(Scene(clips, bodies, seed, number), blazepose)
        with at_once(path) as file:
            np.savez_compressed(file, **kept)  # type: ignore[arg-type]
        made += PICTURES
        seen = np.isfinite(kept["seen_confidence"]).mean()
        rate = made / (time.monotonic() - started)
        print(f"{path.name}: {100 * seen:.0f} % of its pictures show somebody; {rate:.1f} pictures a second", flush=True)


if __name__ == "__main__":
    try:
        main()
    except ModelError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
