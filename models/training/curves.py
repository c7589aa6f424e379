"""The training's course as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw_curves(losses: Path, picture: Path) -> None:
    """Draw `losses.csv` (step, loss, errors in mm) as a picture: the loss on the left, the validation's errors on the right."""
    table = np.atleast_1d(np.genfromtxt(losses, delimiter=",", names=True))
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(table["step"], table["loss"])
    left.set(title="training loss", xlabel="step", ylabel="body scales", yscale="log")
    for name, label in [("mpjpe", "MPJPE"), ("n_mpjpe", "N-MPJPE"), ("pa_mpjpe", "PA-MPJPE")]:
        right.plot(table["step"], table[name], label=label)
    right.set(title="validation (subjects 02, 08, 55)", xlabel="step", ylabel="mm")
    right.legend()
    figure.savefig(picture, dpi=120)
    plt.close(figure)
