"""What one new frame costs: a step of the stateful lifter against windows that are computed anew, one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import onnx

from bench.part import Goal, Grid, Result, Setup, require
from bench.plain_network import convolve
from bench.windows import dilated, strided
from poselift.common.arrays import Floats
from poselift.models.backends.backend import Model, open_model
from poselift.models.convert.lifter import build
from poselift.models.lifting.stateful import StatefulNetwork
from poselift.models.lifting.temporal import Block, TemporalWeights, filter_widths

CHANNELS, FEATURES, OUTPUTS = 1024, 34, 51
LONG, SHORT = (3, 3, 3, 3, 3), (3, 3, 3)
"""Filter widths of receptive fields of 243 and 27 columns."""
PEOPLE = 8
ROUNDS = 300
EVERY = 15
"""The dilated window takes a hundred times as long: it runs in one of so many rounds."""
FLIP = 2
TOLERANCE = 1e-5
METHOD = (
    f"The cost of one new column for networks of {CHANNELS} channels with random weights ({FEATURES} numbers in, {OUTPUTS} out), in ONNX "
    f"Runtime, with one thread in one process. All forms run in turn, {ROUNDS} rounds (the dilated window in every {EVERY}th). Times are "
    "from the thread's own CPU clock, so that other work on the machine counts as little as possible: the median, and the middle half of "
    "the rounds. Ratios are those of each round. A step is `StatefulNetwork.commit`. (a) is VideoPose3D's strided form of one window. (b) "
    f"is the dilated window over all its columns, {FLIP} times for the flip. Both are measured with convolutions along one axis, as "
    "PyTorch exports them, and as a picture of one line, for which ONNX Runtime has faster code. GB/s: bytes of weights by time. A step "
    "reads every weight once, so it is no faster than one core reads memory. Checked before: every form gives the pose of the plain numpy "
    f"network to {TOLERANCE:g}."
)


class Form(NamedTuple):
    """One way to compute poses, and how long it took."""

    name: str
    weights: TemporalWeights
    run: Callable[[], Floats]
    """One new frame: poses [people, OUTPUTS]."""
    times_ms: list[float]

    def time(self) -> None:
        """Run once."""
        begin_ns = time.thread_time_ns()
        self.run()
        self.times_ms.append((time.thread_time_ns() - begin_ns) / 1e6)


def measure(setup: Setup) -> Result:
    """Times of all forms, and how they compare."""
    long, short = _random(LONG), _random(SHORT)
    forms = {
        "step": _step(setup, "step, 243 columns", long, 1),
        "people": _step(setup, f"step, 243 columns, {PEOPLE} people", long, PEOPLE),
        "short": _step(setup, "step, 27 columns", short, 1),
        "a, picture": _window(setup, "(a) strided window, a picture", long, strided(long, axes=2)),
        "a, one axis": _window(setup, "(a) strided window, one axis", long, strided(long, axes=1)),
        "b, picture": _window(setup, f"(b) dilated window {FLIP} times, a picture", long, dilated(long, axes=2), times=FLIP),
        "b, one axis": _window(setup, f"(b) dilated window {FLIP} times, one axis", long, dilated(long, axes=1), times=FLIP),
    }
    for form in forms.values():
        _check(form)
    for number in range(1 if setup.quick else ROUNDS):
        for name, form in forms.items():
            if number % EVERY == 0 or not name.startswith("b,"):
                form.time()
    return Result(METHOD, [Grid(("", "ms", "middle half", "GB/s of weights"), [_row(form) for form in forms.values()])], _goals(forms))


def _goals(forms: Mapping[str, Form]) -> list[Goal]:
    growth = _bytes(forms["step"].weights) / _bytes(forms["short"].weights)
    return [
        *(_at_least(f"{forms[name].name}, divided by a step", forms[name], forms["step"], 2.5) for name in ("a, picture", "a, one axis")),
        *(_at_least(f"{forms[name].name}, divided by a step", forms[name], forms["step"], 30) for name in ("b, picture", "b, one axis")),
        _at_most(
            f"a step of 243 columns, divided by one of 27 and by {growth:.2f}, as their weights grow",
            forms["step"],
            forms["short"],
            1.15,
            growth,
        ),
        _at_most(f"{PEOPLE} people, divided by one", forms["people"], forms["step"], 2),
    ]


def _at_least(what: str, form: Form, beside: Form, goal: float) -> Goal:
    middle, measured = _ratio(form, beside)
    return Goal(what, measured, f"{goal:g} or more", middle >= goal)


def _at_most(what: str, form: Form, beside: Form, goal: float, by: float = 1.0) -> Goal:
    middle, measured = _ratio(form, beside, by)
    return Goal(what, measured, f"{goal:g} or less", middle <= goal)


def _ratio(form: Form, beside: Form, by: float = 1.0) -> tuple[float, str]:
    """The median, and it in words with the middle half."""
    every = len(beside.times_ms) // len(form.times_ms) + (len(beside.times_ms) % len(form.times_ms) > 0)
    low, middle, high = np.percentile(np.divide(form.times_ms, beside.times_ms[::every]) / by, (25, 50, 75))
    return float(middle), f"{middle:.2f} ({low:.2f} to {high:.2f})"


def _row(form: Form) -> tuple[str, ...]:
    low, middle, high = np.percentile(form.times_ms, (25, 50, 75))
    return (form.name, f"{middle:.2f}", f"{low:.2f} to {high:.2f}", f"{_bytes(form.weights) / middle / 1e6:.0f}")


def _step(setup: Setup, name: str, weights: TemporalWeights, people: int) -> Form:
    """Steps that stand at the end of the window, once all of it was taken."""
    network = StatefulNetwork(_opened(setup, build(weights, {})), people)
    columns = _columns(weights, people)
    for number, column in enumerate(columns[:-1]):
        network.commit(column, np.full(people, number == 0))
    going_on = np.zeros(people, np.bool_)
    return Form(name, weights, lambda: network.commit(columns[-1], going_on).pose, [])


def _window(setup: Setup, name: str, weights: TemporalWeights, graph: onnx.ModelProto, times: int = 1) -> Form:
    model = _opened(setup, graph)
    tensors = {"window": np.ascontiguousarray(_columns(weights, 1)[:, 0].T).reshape(model.inputs[0].shape)}

    def run() -> Floats:
        poses = [model.run(tensors)["pose"] for _ in range(times)]
        return np.asarray(poses[0], np.float32).reshape(1, -1)

    return Form(name, weights, run, [])


def _check(form: Form) -> None:
    poses = form.run()
    columns = _columns(form.weights, len(poses))
    for person, pose in enumerate(poses):
        error = float(np.abs(pose - convolve(form.weights, columns[:, person]).pose[0]).max())
        require(error < TOLERANCE, f"stepping: {form.name}: {error:.1g} off the plain network")


def _columns(weights: TemporalWeights, people: int) -> Floats:
    """[receptive field, people, FEATURES], the same for the first person however many there are."""
    rng = np.random.default_rng(1)
    field = int(np.prod(filter_widths(weights)))
    return np.stack([rng.normal(size=(field, FEATURES)) for _ in range(people)], 1).astype(np.float32)


def _opened(setup: Setup, graph: onnx.ModelProto) -> Model:
    path = setup.scratch / "graph.onnx"
    onnx.save(graph, path)
    return open_model(path, threads=1)


def _bytes(weights: TemporalWeights) -> int:
    first = (weights.expand_weight, weights.expand_bias, weights.shrink_weight, weights.shrink_bias)
    return sum(array.nbytes for array in (*first, *(array for block in weights.blocks for array in block)))


def _random(widths: tuple[int, ...]) -> TemporalWeights:
    """Weights that keep what goes through them about as large as it was."""
    rng = np.random.default_rng(0)

    def matrix(*shape: int) -> Floats:
        return rng.normal(0, np.prod(shape[:-1]) ** -0.5, shape).astype(np.float32)

    nothing = np.zeros(CHANNELS, np.float32)
    blocks = [Block(matrix(width, CHANNELS, CHANNELS), nothing, matrix(CHANNELS, CHANNELS), nothing) for width in widths[1:]]
    shrink = matrix(CHANNELS, OUTPUTS)
    return TemporalWeights(matrix(widths[0], FEATURES, CHANNELS), nothing, tuple(blocks), shrink, np.zeros(OUTPUTS, np.float32))
