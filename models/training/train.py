"""The training loop: a batch is a function of the seed and the step alone, so a run that was interrupted goes on as if it had not been."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple, Optional

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from poselift.common.arrays import Floats
from poselift.common.errors import ModelError
from poselift.common.skeleton import H36M_JOINTS, PARENTS
from poselift.models import score
from poselift.models.training.ahead import BatchesAhead
from poselift.models.training.batches import Batch, Sources, make_batch
from poselift.models.training.network import RECEPTIVE_FIELD, Network, Prediction
from poselift.models.training.start import keep_beside, start_from

HISTORY = RECEPTIVE_FIELD - 1
REPORT_EVERY = 500
VALIDATION_SEED = 1_000_003
RIDGE_BATCHES = 40
BODY_SCALE_M = 1.3
"""Metres of the network's unit in the reported figures: the median of the motion capture's people."""


@dataclass(frozen=True)
class Settings:
    """What decides the result; kept in the checkpoint."""

    steps: int
    """Steps at the full rate."""
    decay_steps: int = 0
    """Steps after these, in which the rate goes down to nothing."""
    seed: int = 0
    channels: int = 512
    beside: int = 0
    """Channels beside a lifter of `channels` that is kept as it is; they tell the feet and their contact."""
    sequences: int = 128
    outputs: int = 8
    watched: float = 0.25
    """Share of the sequences that are of rendered people, where there are any."""
    learning_rate: float = 1e-3
    warm_up: int = 300
    weight_decay: float = 0.01
    velocity_weight: float = 1.5
    bone_weight: float = 0.3
    spread_weight: float = 0.03
    contact_weight: float = 0.03
    bfloat16: bool = True

    @property
    def all_steps(self) -> int:
        """The decay's included."""
        return self.steps + self.decay_steps


class Trainer:
    """A network on its way: `step` improves it, `save` and `load` keep it."""

    def __init__(self, settings: Settings, sources: Sources) -> None:
        self.settings, self.done = settings, 0
        self.draw: Callable[[int], Batch] = partial(draw, settings, sources)
        """The batch of a step."""
        self.network = Network(settings.channels + settings.beside, settings.seed)
        self.masks: list[torch.Tensor] = []
        """Of the parameters, 0 where they are kept as they are; none where all are trained."""
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
        value = loss(self.settings, torch.from_numpy(batch.poses), torch.from_numpy(batch.contact), predicted)
        self.optimiser.zero_grad()
        value.backward()
        kept = [tensor.detach().clone() for tensor in self.network.parameters()] if self.masks else []
        self.optimiser.step()
        with torch.no_grad():
            for tensor, mask, before in zip(self.network.parameters(), self.masks, kept):
                tensor.copy_(torch.where(mask > 0, tensor, before))
        self.done += 1
        return float(value.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "settings": asdict(self.settings),
            "done": self.done,
            "parameters": self.network.parameters(),
            "optimiser": self.optimiser.state_dict(),
            "masks": self.masks,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    @classmethod
    def load(cls, path: Path, sources: Sources, steps: int, decay_steps: int) -> Trainer:
        """Go on from a checkpoint, to so many steps. Raises ModelError where there is none."""
        if not path.is_file():
            raise ModelError(f"{path}: no checkpoint to go on from; leave out --resume to start afresh")
        state = torch.load(path, weights_only=True)
        trainer = cls(replace(Settings(**state["settings"]), steps=steps, decay_steps=decay_steps), sources)
        trainer.done = state["done"]
        with torch.no_grad():
            for tensor, kept in zip(trainer.network.parameters(), state["parameters"]):
                tensor.copy_(kept)
        trainer.optimiser.load_state_dict(state["optimiser"])
        trainer.masks = state["masks"]
        return trainer


def draw(settings: Settings, sources: Sources, step: int) -> Batch:
    """The batch of a step: a function of the seed and the step. The steps before 0 are those of the ridge regression."""
    rng = np.random.default_rng([settings.seed, step + RIDGE_BATCHES])
    return make_batch(sources, rng, settings.sequences, settings.outputs, HISTORY, settings.watched)


def learning_rate(settings: Settings, step: int) -> float:
    """A linear rise, then the full rate, then a linear decay to nothing after the last step."""
    rise, left = (step + 1) / settings.warm_up, settings.all_steps - step
    return settings.learning_rate * min(1, rise, left / settings.decay_steps if settings.decay_steps else 1)


def loss(settings: Settings, truth: torch.Tensor, contact: torch.Tensor, predicted: Prediction) -> torch.Tensor:
    """Error of the positions, of their change from frame to frame, of the bones' lengths, of the spreads and of the contact.

    truth [N, T, 21, 3]; contact [N, T, 4], NaN where it is not known. The spreads' is the negative logarithm of the likelihood that normal
    distributions around the poses give to the truth, but for a constant; it does not pull at the poses. The contact's is the cross-entropy.
    """
    poses = predicted.poses
    position = (truth - poses).norm(dim=-1).mean()
    velocity = (truth.diff(dim=1) - poses.diff(dim=1)).norm(dim=-1).mean()
    parents = list(PARENTS[1:])
    lengths = [(each[:, :, 1:] - each[:, :, parents]).norm(dim=-1) for each in (truth, poses)]
    bones = (lengths[0] - lengths[1]).abs().mean()
    off = (truth - poses.detach())[:, :, 1:]
    log_spread = predicted.log_spread[:, :, 1:]
    surprise = (log_spread + 0.5 * (off * torch.exp(-log_spread)).square()).mean()
    known = contact.isfinite()
    touching = torch.nn.functional.binary_cross_entropy_with_logits(predicted.contact[known], contact[known], reduction="sum")
    return (
        position
        + settings.velocity_weight * velocity
        + settings.bone_weight * bones
        + settings.spread_weight * surprise
        + settings.contact_weight * touching / max(1, int(known.sum()))
    )


class Validation(NamedTuple):
    """The same for every run: people who are not trained on, as they moved."""

    recorded: list[Batch]
    """Before the same kinds of cameras and detectors as in training."""
    watched: list[Batch]
    """Rendered, and seen by BlazePose; none where there are no rendered people."""

    @classmethod
    def of(cls, held_back: Sources, outputs: int) -> Validation:
        """Of people who are held back."""
        return cls(_batches(held_back, outputs, 0.0), _batches(held_back, outputs, 1.0) if held_back.watched is not None else [])


def _batches(held_back: Sources, outputs: int, watched: float) -> list[Batch]:
    rng = np.random.default_rng(VALIDATION_SEED)
    return [make_batch(held_back, rng, 64, outputs, HISTORY, watched, invent=False) for _ in range(16)]


def validate(network: Network, validation: Validation) -> dict[str, float]:
    """Errors in millimetres, and per cent: coordinates within one and two stated standard deviations, F1 of the contact.

    Of the 17 joints, but for `feet`, which is their N-MPJPE with the scale of the 17. `watched_...`: of rendered people.
    """
    scores = errors(network, validation.recorded)
    watched = errors(network, validation.watched) if validation.watched else {}
    return {**scores, **{f"watched_{name}": watched[name] for name in watched if name != "contact_f1"}}


def errors(network: Network, batches: list[Batch]) -> dict[str, float]:
    """See `validate`."""
    truth, contact = (np.concatenate(of) for of in list(zip(*batches))[1:])
    said = predict(network, batches)
    body, joints = slice(None, len(H36M_JOINTS)), slice(1, None)
    measures = {"mpjpe": score.mpjpe, "n_mpjpe": score.n_mpjpe, "pa_mpjpe": score.pa_mpjpe, "mpjve": score.mpjve}
    off = {name: measure(truth[:, :, body], said.poses[:, :, body]) for name, measure in measures.items()}
    scale = (truth * said.poses)[:, :, body].sum((-1, -2)) / np.square(said.poses[:, :, body]).sum((-1, -2))
    off["feet"] = float(np.linalg.norm(truth - scale[..., None, None] * said.poses, axis=-1)[:, :, len(H36M_JOINTS) :].mean())
    surprise = (np.abs(truth - said.poses) / said.spread)[:, :, joints]
    touching, true = said.contact > 0, contact > 0.5
    known = np.isfinite(contact)
    hits, misses = (touching & true & known).sum(), ((touching != true) & known).sum()
    return {
        **{name: 1000 * BODY_SCALE_M * value for name, value in off.items()},
        **{f"within_{k}_sigma": 100 * float((surprise < k).mean()) for k in (1, 2)},
        "contact_f1": 100 * float(2 * hits / max(1, 2 * hits + misses)),
    }


class Said(NamedTuple):
    """What a network says of batches, one after the other; in body scales."""

    poses: Floats
    """[N, T, 21, 3]"""
    spread: Floats
    """[N, T, 21, 3]: standard deviations"""
    contact: Floats
    """[N, T, 4]: logits"""


def predict(network: Network, batches: list[Batch]) -> Said:
    """What the network says of the batches."""
    with torch.no_grad():
        found = [network(torch.from_numpy(batch.features)) for batch in batches]
    poses, log_spread, contact = (torch.cat(parts).numpy() for parts in zip(*found))
    return Said(poses, np.exp(log_spread), contact)


def calibrate(network: Network, validation: Validation, body_is_kept: bool = False) -> None:
    """Widen the stated standard deviations until 68.3 % of the coordinates of people whom the network has not seen lie within one.

    The errors' tails are heavier than a normal distribution's, so a little less than 95.4 % then lie within two.
    """
    truth = np.concatenate([batch.poses for batch in validation.recorded])
    said = predict(network, validation.recorded)
    surprise = np.abs(truth - said.poses) / said.spread
    body, feet = slice(1, len(H36M_JOINTS)), slice(len(H36M_JOINTS), None)
    for joints in (feet,) if body_is_kept else (body, feet):
        network.widen_spread(float(np.quantile(surprise[:, :, joints], 0.6827)), joints)


def train(
    settings: Settings,
    sources: Sources,
    validation: Validation,
    folder: Path,
    minutes: Optional[float] = None,
    resume: bool = False,
    start: Optional[Path] = None,
) -> Trainer:
    """Train to the last step, or for so many minutes; writes `checkpoint.pt` and `losses.csv` in `folder` as it goes.

    Begins from the lifter `start`, or without one from the linear path's regression.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, losses = folder / "checkpoint.pt", folder / "losses.csv"
    if resume:
        trainer = Trainer.load(checkpoint, sources, settings.steps, settings.decay_steps)
    else:
        trainer = Trainer(settings, sources)
        if start is not None and settings.beside:
            trainer.masks = keep_beside(start, trainer.network)
        elif start is not None:
            start_from(start, trainer.network)
        else:
            trainer.start_linear()
        losses.write_text("")
    stop_s = math.inf if minutes is None else time.monotonic() + 60 * minutes
    columns = [TextColumn("loss {task.fields[loss]:.4f}  validation N-MPJPE {task.fields[n_mpjpe]:.1f} mm"), BarColumn()]
    with Progress(*columns, MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        scores = validate(trainer.network, validation)
        task = progress.add_task("", total=trainer.settings.all_steps, completed=trainer.done, loss=math.nan, n_mpjpe=scores["n_mpjpe"])
        recent: list[float] = []
        with BatchesAhead(partial(draw, trainer.settings), sources, trainer.done) as trainer.draw:
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
