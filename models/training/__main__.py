"""`python -m poselift.models.training --motion FOLDER -o FOLDER`: train our own lifter and write it as ONNX."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Optional

import torch

from poselift.common.errors import ModelError
from poselift.models.training.batches import Sources
from poselift.models.training.curves import draw_curves
from poselift.models.training.export import export
from poselift.models.training.motion import load_motion
from poselift.models.training.recordings import Split
from poselift.models.training.train import Settings, Validation, calibrate, train, validate
from poselift.models.training.watched_clips import load_watched

STEPS, DECAY_STEPS = 30_000, 10_000


def main() -> None:
    """Train, draw the loss curve, export."""
    parser = argparse.ArgumentParser(prog="python -m poselift.models.training", description=__doc__)
    parser.add_argument("--motion", type=Path, required=True, help="folder with cmu_h36m17.npz, cmu_feet.npz and cmu_more.npz")
    parser.add_argument("--watched", type=Path, help="folder of rendered people (python -m poselift.models.training.rendered)")
    parser.add_argument("--start", type=Path, metavar="LIFTER", help="an earlier lifter.onnx to begin from")
    parser.add_argument("--beside", type=int, default=0, metavar="N", help="keep that lifter as it is: N channels beside it learn the feet")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for checkpoint.pt, losses.csv, losses.png and lifter.onnx")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps at the full rate; with the same seed they give the same weights")
    parser.add_argument("--decay-steps", type=int, default=DECAY_STEPS, help="steps after these, while the rate goes down to nothing")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes; --resume goes on from there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the network; a process of its own makes the batches")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = Settings(arguments.steps, arguments.decay_steps, seed=arguments.seed, beside=arguments.beside)
    people, held_back = (sources(arguments.motion, arguments.watched, split) for split in ("train", "validation"))
    validation = Validation.of(held_back, settings.outputs)
    trainer = train(settings, people, validation, arguments.output, arguments.minutes, arguments.resume, arguments.start)
    draw_curves(arguments.output / "losses.csv", arguments.output / "losses.png")
    if trainer.done < trainer.settings.all_steps:
        print(f"{trainer.done} of {trainer.settings.all_steps} steps are done; the same command with --resume goes on")
        return
    calibrate(trainer.network, validation, body_is_kept=bool(trainer.masks))
    export(trainer, arguments.output / "lifter.onnx", validate(trainer.network, validation))


def sources(motion: Path, watched: Optional[Path], split: Split) -> Sources:
    """The people of one split. Raises ModelError."""
    return Sources(load_motion(motion, split), load_watched(watched, split) if watched else None)


if __name__ == "__main__":
    try:
        main()
    except ModelError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
