"""Batches made by a process of their own while the network learns from the ones before."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from types import TracebackType
from typing import Callable, Optional

from poselift.models.training.batches import Batch, Sources

Draw = Callable[[Sources, int], Batch]
"""The batch of a step, from the sources and the step's number alone."""

AHEAD = 4


class BatchesAhead:
    """The batches of consecutive steps, the same as `draw` would give here; a context manager that ends the process."""

    def __init__(self, draw: Draw, sources: Sources, first: int) -> None:
        """To be asked for step `first`, then for the next one, and so on. `draw` must be picklable."""
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_start, initargs=(draw, sources))
        self._steps = first
        self._coming: deque[Future[Batch]] = deque()

    def __call__(self, step: int) -> Batch:
        """The batch of `step`."""
        while len(self._coming) < AHEAD:
            self._coming.append(self._pool.submit(_next, self._steps + len(self._coming)))
        if step != self._steps:
            raise ValueError(f"step {self._steps} comes next, not {step}")
        self._steps += 1
        return self._coming.popleft().result()

    def __enter__(self) -> BatchesAhead:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self._pool.shutdown(cancel_futures=True)


_draw: Callable[[int], Batch]


def _start(draw: Draw, sources: Sources) -> None:
    global _draw
    os.nice(5)
    Thread(target=_leave_with_parent, daemon=True).start()
    _draw = partial(draw, sources)


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()  # a pool's process would wait for ever for one that was killed
        os._exit(1)


def _next(step: int) -> Batch:
    return _draw(step)
