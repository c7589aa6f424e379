"""A network that carries its past as state: every step takes the newest column, and either keeps it or only looks."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Bools, Floats
from poselift.common.errors import ModelError
from poselift.models.backends.backend import Model
from poselift.models.lifting.temporal import Outputs

FARTHEST = 1000.0
"""A joint that lies farther from the root, in body scales or metres, is none."""


def plausible_rows(outputs: Outputs) -> Bools:
    """[rows]: the rows that are finite and not absurdly large."""
    told = (output.reshape(len(output), -1) for output in outputs if output is not None)
    return np.asarray(np.all([(np.abs(output) <= FARTHEST).all(-1) for output in told], 0))


class StatefulNetwork:
    """Steps a stateful graph (`models/convert/lifter.py`) on any backend: one column of every slot in, one pose of every slot out."""

    def __init__(self, model: Model, slots: int) -> None:
        """Raises ModelError where `model` is no stateful lifter, or is one for another number of slots."""
        shapes = {tensor.name: tensor.shape for tensor in model.inputs}
        outputs = {tensor.name for tensor in model.outputs}
        states = [name for name in shapes if f"next_{name}" in outputs]
        columns = "keypoints" if "keypoints" in shapes else "features"
        if {*shapes} != {columns, "reset", *states} or outputs - {"sigma", "contact"} != {"pose", *(f"next_{name}" for name in states)}:
            raise ModelError(
                f"this network takes {', '.join(shapes)} and gives {', '.join(sorted(outputs))}; "
                "a stateful lifter takes features or keypoints, reset, state_... and gives pose, next_state_..."
            )
        if shapes[columns][0] not in (-1, slots):
            raise ModelError(f"this lifter was built for {shapes[columns][0]} people, not {slots}; set that many, or build it anew")
        self._columns = columns
        self._network = model.carrying({name: f"next_{name}" for name in states}, slots)

    def commit(self, features: Floats, reset: Bools) -> Outputs:
        """The poses, a row each slot, for the columns `features` [slots, ...], which become part of the past.

        Where `reset` [slots] is true, the slot's past is this column alone, whatever it was.
        """
        return self._run(features, reset, keep=True)

    def peek(self, features: Floats, reset: Bools) -> Outputs:
        """The poses that `commit` would give; the past stays as it is."""
        return self._run(features, reset, keep=False)

    def close(self) -> None:
        """Forget the past; the network itself stays open."""
        self._network.close()

    def _run(self, features: Floats, reset: Bools, keep: bool) -> Outputs:
        tensors = self._network.run({self._columns: features, "reset": reset}, keep)
        told = {name: np.asarray(tensors[name], np.float32) for name in Outputs._fields if name in tensors}
        return Outputs(**told)
