"""The training loop: a batch is a function of the seed and the step alone, so a run that was interrupted goes on as if it had not been."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Optional

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from poselift.common.arrays import Floats
from poselift.common.errors import ModelError
from poselift.common.skeleton import H36M_PARENTS
from poselift.models import score
from poselift.models.training.ahead import BatchesAhead
from poselift.models.training.batches import Batch, make_batch
from poselift.models.training.motion import Motion
from poselift.models.training.network import RECEPTIVE_FIELD, Network, Prediction

HISTORY = RECEPTIVE_FIELD - 1
REPORT_EVERY = 250
VALIDATION_SEED = 1_000_003
RIDGE_BATCHES = 40
BODY_SCALE_M = 1.3
"""Metres of the network's unit in the reported figures: the median of the motion capture's people."""


@dataclass(frozen=True)
class Settings:
    """What decides the result; kept in the checkpoint."""

    steps: int
    refining_steps: int = 0
    """Steps after these, from a lower rate down to nothing once more."""
    seed: int = 0
    channels: int = 512
    sequences: int = 128
    outputs: int = 8
    learning_rate: float = 2e-3
    refining_rate: float = 5e-4
    warm_up: int = 300
    weight_decay: float = 0.01
    velocity_weight: float = 1.0
    bone_weight: float = 0.3
    spread_weight: float = 0.03
    bfloat16: bool = True

    @property
    def all_steps(self) -> int:
        """The refining ones included."""
        return self.steps + self.refining_steps


class Trainer:
    """A network on its way: `step` improves it, `save` and `load` keep it."""

    def __init__(self, settings: Settings, motion: Motion) -> None:
        self.settings, self.done = settings, 0
        self.draw: Callable[[int], Batch] = partial(draw, settings, motion)
        """The batch of a step."""
        self.network = Network(settings.channels, settings.seed)
        rest = [tensor for name, tensor in self.network.weights.items() if name != "linear"]
        groups = [
            {"params": rest, "share": 1.0},
            {"params": [self.network.weights["linear"]], "share": 0.1, "weight_decay": 0.0},
            {"params": list(self.network.biases.values()), "share": 1.0, "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)

    def start_linear(self) -> None:
        """Begin from the linear path's ridge regression."""
        batches = [self.draw(-1 - i) for i in range(RIDGE_BATCHES)]
        self.network.start_linear(np.concatenate([b.features for b in batches]), np.concatenate([b.poses for b in batches]))

    def step(self) -> float:
        """One step of the optimiser; the loss before it, in body scales."""
        batch = self.draw(self.done)
        for group in self.optimiser.param_groups:
            group["lr"] = group["share"] * learning_rate(self.settings, self.done)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            predicted = self.network(torch.from_numpy(batch.features))
        value = loss(self.settings, torch.from_numpy(batch.poses), predicted)
        self.optimiser.zero_grad()
        value.backward()
        self.optimiser.step()
        self.done += 1
        return float(value.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "settings": asdict(self.settings),
            "done": self.done,
            "parameters": self.network.parameters(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    @classmethod
    def load(cls, path: Path, motion: Motion) -> Trainer:
        """Go on from a checkpoint. Raises ModelError where there is none."""
        if not path.is_file():
            raise ModelError(f"{path}: no checkpoint to go on from; leave out --resume to start afresh")
        state = torch.load(path, weights_only=True)
        trainer = cls(Settings(**state["settings"]), motion)
        trainer.done = state["done"]
        with torch.no_grad():
            for tensor, kept in zip(trainer.network.parameters(), state["parameters"]):
                tensor.copy_(kept)
        trainer.optimiser.load_state_dict(state["optimiser"])
        return trainer


def draw(settings: Settings, motion: Motion, step: int) -> Batch:
    """The batch of a step: a function of the seed and the step. The steps before 0 are those of the ridge regression."""
    rng = np.random.default_rng([settings.seed, step + RIDGE_BATCHES])
    return make_batch(motion, rng, settings.sequences, settings.outputs, HISTORY)


def learning_rate(settings: Settings, step: int) -> float:
    """A linear rise, then a cosine down to nothing at the last step; and once more, without the rise, for the refining ones."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    if step < settings.steps or not settings.refining_steps:
        return settings.learning_rate * _cosine((step - settings.warm_up) / max(1, settings.steps - settings.warm_up))
    return settings.refining_rate * _cosine((step - settings.steps) / settings.refining_steps)


def _cosine(part: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(1, part)))


def loss(settings: Settings, truth: torch.Tensor, predicted: Prediction) -> torch.Tensor:
    """Error of the positions, of their change from frame to frame, of the bones' lengths, and of the spreads; truth [N, T, 17, 3].

    The spreads' is the negative logarithm of the likelihood that normal distributions around the poses give to the truth, but for a
    constant; it does not pull at the poses.
    """
    poses = predicted.poses
    position = (truth - poses).norm(dim=-1).mean()
    velocity = (truth.diff(dim=1) - poses.diff(dim=1)).norm(dim=-1).mean()
    parents = list(H36M_PARENTS[1:])
    lengths = [(each[:, :, 1:] - each[:, :, parents]).norm(dim=-1) for each in (truth, poses)]
    bones = (lengths[0] - lengths[1]).abs().mean()
    off = (truth - poses.detach())[:, :, 1:]
    log_spread = predicted.log_spread[:, :, 1:]
    surprise = (log_spread + 0.5 * (off * torch.exp(-log_spread)).square()).mean()
    return position + settings.velocity_weight * velocity + settings.bone_weight * bones + settings.spread_weight * surprise


def validation_batches(held_back: Motion, outputs: int) -> list[Batch]:
    """The same for every run: people who are not trained on, as they moved, before the same kinds of cameras and detectors."""
    rng = np.random.default_rng(VALIDATION_SEED)
    return [make_batch(held_back, rng, 64, outputs, HISTORY, invent=False) for _ in range(16)]


def validate(network: Network, batches: list[Batch]) -> dict[str, float]:
    """Errors in millimetres, and the shares of coordinates within one and two stated standard deviations, per cent."""
    truth = np.concatenate([batch.poses for batch in batches])
    predicted, spread = predict(network, batches)
    measures = {"mpjpe": score.mpjpe, "n_mpjpe": score.n_mpjpe, "pa_mpjpe": score.pa_mpjpe, "mpjve": score.mpjve}
    errors = {name: 1000 * BODY_SCALE_M * measure(truth, predicted) for name, measure in measures.items()}
    surprise = np.abs(truth - predicted)[:, :, 1:] / spread[:, :, 1:]
    return {**errors, **{f"within_{k}_sigma": 100 * float((surprise < k).mean()) for k in (1, 2)}}


def predict(network: Network, batches: list[Batch]) -> tuple[Floats, Floats]:
    """Poses and standard deviations [N, T, 17, 3] of the batches, one after the other, in body scales."""
    with torch.no_grad():
        found = [network(torch.from_numpy(batch.features)) for batch in batches]
    poses, log_spread = (torch.cat(parts).numpy() for parts in zip(*found))
    return poses, np.exp(log_spread)


def calibrate(network: Network, batches: list[Batch]) -> None:
    """Widen the stated standard deviations until 68.3 % of the coordinates of people whom the network has not seen lie within one.

    The errors' tails are heavier than a normal distribution's, so a little less than 95.4 % then lie within two.
    """
    truth = np.concatenate([batch.poses for batch in batches])
    poses, spread = predict(network, batches)
    surprise = (np.abs(truth - poses) / spread)[:, :, 1:]
    network.widen_spread(float(np.quantile(surprise, 0.6827)))


def train(
    settings: Settings, motion: Motion, held_back: Motion, folder: Path, minutes: Optional[float] = None, resume: bool = False
) -> Trainer:
    """Train to the last step, or for so many minutes; writes `checkpoint.pt` and `losses.csv` in `folder` as it goes."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, losses = folder / "checkpoint.pt", folder / "losses.csv"
    if resume:
        trainer = Trainer.load(checkpoint, motion)
    else:
        trainer = Trainer(settings, motion)
        trainer.start_linear()
        losses.write_text("")
    stop_s = math.inf if minutes is None else time.monotonic() + 60 * minutes
    validation = validation_batches(held_back, settings.outputs)
    columns = [TextColumn("loss {task.fields[loss]:.4f}  validation N-MPJPE {task.fields[n_mpjpe]:.1f} mm"), BarColumn()]
    with Progress(*columns, MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        scores = validate(trainer.network, validation)
        task = progress.add_task("", total=trainer.settings.all_steps, completed=trainer.done, loss=math.nan, n_mpjpe=scores["n_mpjpe"])
        recent: list[float] = []
        with BatchesAhead(partial(draw, trainer.settings), motion, trainer.done) as trainer.draw:
            while trainer.done < trainer.settings.all_steps and time.monotonic() < stop_s:
                recent.append(trainer.step())
                progress.update(task, completed=trainer.done, loss=recent[-1])
                if trainer.done % REPORT_EVERY == 0 or trainer.done == trainer.settings.all_steps:
                    scores = validate(trainer.network, validation)
                    progress.update(task, n_mpjpe=scores["n_mpjpe"])
                    _append(losses, {"step": trainer.done, "loss": float(np.mean(recent)), **scores})
                    trainer.save(checkpoint)
                    recent.clear()
    trainer.save(checkpoint)  # where the minutes were over between two reports
    return trainer


def _append(table: Path, row: dict[str, float]) -> None:
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if not file.tell():
            writer.writeheader()
        writer.writerow(row)
