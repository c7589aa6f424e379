"""A trained network as ONNX: the stateful graph, with everything beside it that its user has to know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import onnx

from poselift.common.skeleton import FEET, JOINTS, KEYPOINTS
from poselift.models.convert.lifter import build
from poselift.models.lifting.person_camera import BODY_SCALE_OF_HEIGHT
from poselift.models.training.motion import RATE_HZ
from poselift.models.training.network import RECEPTIVE_FIELD, to_weights
from poselift.models.training.recordings import HELD_OUT, VALIDATION
from poselift.models.training.train import Trainer

NAME = "poselift-lifter"
VERSION = "3"
LICENCE = "Apache-2.0"
DATA = "CMU Graphics Lab Motion Capture Database, 2D keypoints made from it, MakeHuman's bodies as BlazePose sees them"
ACKNOWLEDGEMENT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217."
)


def export(trainer: Trainer, path: Path, scores: Mapping[str, float]) -> None:
    """Write the trainer's network to `path`, with its `scores` on the validation split (millimetres; per cent within k sigma)."""
    onnx.save(build(to_weights(trainer.network), describe(trainer, scores)), str(path))


def describe(trainer: Trainer, scores: Mapping[str, float]) -> dict[str, str]:
    """The metadata of the file: all that `poselift.models.lifting.lifter` needs, and where the weights come from."""
    settings = trainer.settings
    return {
        "name": NAME,
        "version": VERSION,
        "licence": LICENCE,
        "receptive_field": str(RECEPTIVE_FIELD),
        "rate_hz": f"{RATE_HZ:g}",
        "keypoints": " ".join(KEYPOINTS),
        "joints": " ".join(JOINTS),
        "normalisation": "person_camera",
        "flip": "yes",
        "output": "root-relative, in the virtual camera's axes, in body scales",
        "sigma": "standard deviation of each output, in the same axes and unit; widened until it was right for the validation subjects",
        "contact": f"logits that {', '.join(FEET)} touch the floor",
        "body_scale": f"thigh + shank + trunk: {BODY_SCALE_OF_HEIGHT} of the body height",
        "data": DATA,
        "acknowledgement": ACKNOWLEDGEMENT,
        "held_out_subjects": " ".join(sorted(HELD_OUT)),
        "validation_subjects": " ".join(sorted(VALIDATION)),
        "trained": f"{datetime.now(timezone.utc):%Y-%m-%d}, {trainer.done} steps of {settings.sequences} x {settings.outputs} poses",
        "seed": str(settings.seed),
        "validation": json.dumps({name: round(value, 1) for name, value in scores.items()}),
    }
