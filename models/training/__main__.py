"""`python -m poselift.models.training --motion cmu_h36m17.npz -o FOLDER`: train our own lifter and write it as ONNX."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from poselift.common.errors import ModelError
from poselift.models.training.curves import draw_curves
from poselift.models.training.export import export
from poselift.models.training.motion import load_motion
from poselift.models.training.train import Settings, calibrate, train, validate, validation_batches

STEPS, REFINING_STEPS = 30_000, 6_000
"""About 85 minutes on two CPU cores."""


def main() -> None:
    """Train, draw the loss curve, export."""
    parser = argparse.ArgumentParser(prog="python -m poselift.models.training", description=__doc__)
    parser.add_argument("--motion", type=Path, required=True, help="motion capture to learn from (cmu_h36m17.npz)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for checkpoint.pt, losses.csv, losses.png and lifter.onnx")
    parser.add_argument("--steps", type=int, default=STEPS, help="how long to train; with the same seed gives the same weights")
    parser.add_argument("--refining-steps", type=int, default=REFINING_STEPS, help="how long to go on at a lower rate")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes; --resume goes on from there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the network; a process of its own makes the batches")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = Settings(arguments.steps, arguments.refining_steps, seed=arguments.seed)
    people, held_back = (load_motion(arguments.motion, split) for split in ("train", "validation"))
    trainer = train(settings, people, held_back, arguments.output, arguments.minutes, arguments.resume)
    draw_curves(arguments.output / "losses.csv", arguments.output / "losses.png")
    if trainer.done < trainer.settings.all_steps:
        print(f"{trainer.done} of {trainer.settings.all_steps} steps are done; the same command with --resume goes on")
        return
    batches = validation_batches(held_back, trainer.settings.outputs)
    calibrate(trainer.network, batches)
    export(trainer, arguments.output / "lifter.onnx", validate(trainer.network, batches))


if __name__ == "__main__":
    try:
        main()
    except ModelError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
