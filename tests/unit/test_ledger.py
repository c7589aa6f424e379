"""The ledger: every frame that is missing is counted once, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

import numpy as np
import pytest

from poselift.app.dataflow.ledger import NEWER_FRAME, NOT_READY, OVERWRITTEN, QUEUE_FULL, WORKER_DIED, Ledger, add


@dataclass
class Note:
    """All that a ledger looks at."""

    frame: int
    incarnation: int = 1
    skipped: dict[str, int] = field(default_factory=dict)


def missed(ledger: Ledger, *notes: Note) -> dict[str, int]:
    counts: dict[str, int] = {}
    for note in notes:
        add(counts, ledger.missing(note))
    return counts


def test_nothing_is_missing() -> None:
    assert missed(Ledger(QUEUE_FULL, start=0), Note(0), Note(1), Note(2)) == {}


def test_a_gap_is_what_the_stream_loses_by() -> None:
    assert missed(Ledger(NEWER_FRAME), Note(0), Note(4), Note(5), Note(7)) == {NEWER_FRAME: 4}
    assert missed(Ledger(QUEUE_FULL), Note(0), Note(4)) == {QUEUE_FULL: 3}


def test_what_the_sender_declared_is_not_counted_again() -> None:
    assert missed(Ledger(QUEUE_FULL), Note(0), Note(4, skipped={NEWER_FRAME: 2, OVERWRITTEN: 1})) == {}
    assert missed(Ledger(QUEUE_FULL), Note(0), Note(5, skipped={NEWER_FRAME: 3})) == {QUEUE_FULL: 1}


def test_a_sender_that_changed_has_died() -> None:
    assert missed(Ledger(QUEUE_FULL), Note(0), Note(3, incarnation=2), Note(5, incarnation=2)) == {WORKER_DIED: 2, QUEUE_FULL: 1}
    assert missed(Ledger(QUEUE_FULL), Note(0), Note(3, incarnation=2, skipped={NEWER_FRAME: 1})) == {WORKER_DIED: 1}
    assert missed(Ledger(QUEUE_FULL), Note(0), Note(1, incarnation=2)) == {}


def test_what_came_before_the_first_message() -> None:
    assert missed(Ledger(QUEUE_FULL), Note(7)) == {}
    assert missed(Ledger(QUEUE_FULL, start=0), Note(7)) == {NOT_READY: 7}
    assert missed(Ledger(QUEUE_FULL, start=0), Note(7, skipped={OVERWRITTEN: 3})) == {NOT_READY: 4}


def test_what_comes_after_the_last_message() -> None:
    ledger = Ledger(QUEUE_FULL, start=0)
    assert ledger.tail(5) == 5
    missed(ledger, Note(0), Note(3))
    assert [ledger.tail(frames) for frames in (0, 4, 9)] == [0, 0, 5]
    assert Ledger(QUEUE_FULL).tail(2) == 2


def test_counts_add_up_by_reason() -> None:
    counts = {"a": 1}
    add(counts, {"a": 2, "b": 3})
    add(counts, {})
    assert counts == {"a": 3, "b": 3}


class Stage:
    """A worker as the ledger knows it: it declares what it missed and what it left out, and forgets both when it dies."""

    incarnations = 0

    def __init__(self, lost: str) -> None:
        self._lost = lost
        self.die()

    def die(self) -> None:
        Stage.incarnations += 1
        self.incarnation, self._ledger, self._skipped = Stage.incarnations, Ledger(self._lost), {}

    def step(self, note: Note, left_out: bool) -> Optional[Note]:
        add(self._skipped, self._ledger.missing(note))
        add(self._skipped, note.skipped)
        if left_out:
            add(self._skipped, {OVERWRITTEN: 1})
            return None
        declared, self._skipped = self._skipped, {}
        return Note(note.frame, self.incarnation, declared)


@pytest.mark.parametrize("deaths", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("losses", [0.0, 0.05, 0.6])
def test_every_frame_is_lifted_or_counted_whatever_happens(losses: float, deaths: float) -> None:
    """Three workers and whoever counts; messages are lost on every way, and every worker may die with a message in hand."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        capture, stages = Stage(""), (Stage(NEWER_FRAME), Stage(QUEUE_FULL))
        end, dropped, lifted = Ledger(QUEUE_FULL, start=0), {}, 0
        overwritten = died = lost = 0
        frames = int(rng.integers(0, 120))
        for number in range(frames):
            if rng.random() < deaths:
                capture.die()
                died += 1
            note: Optional[Note] = Note(number, capture.incarnation)
            for stage in stages:
                if note and rng.random() < losses:
                    note, lost = None, lost + 1
                if note:
                    left_out = bool(rng.random() < losses) and stage is stages[0]
                    overwritten += left_out
                    note = stage.step(note, left_out)
                if rng.random() < deaths:
                    stage.die()
                    died += 1
                    note = note if rng.random() < 0.5 else None  # before or after it sent its answer
            if note and rng.random() < losses:
                note, lost = None, lost + 1
            if note:
                lifted += 1
                add(dropped, end.missing(note))
                add(dropped, note.skipped)
                assert lifted + sum(dropped.values()) == number + 1
        tail = end.tail(frames)
        assert lifted + sum(dropped.values()) + tail == frames
        assert all(count > 0 for count in dropped.values())
        assert dropped.get(WORKER_DIED, 0) == 0 or died
        assert dropped.get(OVERWRITTEN, 0) <= overwritten
        if not losses and not deaths:
            assert (lifted, dropped, tail) == (frames, {}, 0)
        if not deaths:
            assert sum(dropped.values()) + tail == lost + overwritten
