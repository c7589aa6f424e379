"""How the pictures look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from poselift.common.errors import UserError

OURS, OURS_CLEAN, OTHER, GOAL = "#1f5fa8", "#8fb8e0", "#b8b8b8", "#c0392b"
LINES = ("#1f5fa8", "#d9822b", "#3a8f57", "#8a4fa3", "#7a7a7a", "#c0392b", "#2aa1b3")
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "font.size": 10,
    "axes.titlesize": 11,
    "legend.frameon": False,
}


def require_matplotlib() -> None:
    """To be asked before anything is measured. Raises UserError where nothing can be drawn."""
    if find_spec("matplotlib") is None:
        raise UserError("the pictures need the package 'matplotlib'; type: pip install 'poselift[train]'")


@contextmanager
def picture(path: Path, panels: int = 1, height_in: float = 3.6, width_in: float = 9.0) -> Iterator[Any]:
    """Panels side by side (one panel as it is), written to `path` at the end of the `with`."""
    import matplotlib  # not at the top: what is measured can be tested without it

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, panels, figsize=(width_in, height_in), layout="constrained")
        yield axes
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
        plt.close(figure)
