"""Pixels between the processes of one host: a memory-mapped ring of pictures. The bus carries slot and generation only.

One file, written by capture alone, but for one byte per slot and taker: the sender sets it before it announces a picture to a taker that
must see it, and the taker clears it; a taker that is free to miss pictures sets its own while it looks. A slot with such a byte set is not
written. Since such a taker may come too late, each slot also has a lock, which the sender has alone while it writes and takers share while
they look, and a generation, which tells whose picture is in it. Nobody waits for a lock: where a taker looks, the sender takes another
slot; where the sender writes, the taker's picture is gone.

The lock is also what orders memory, on aarch64 as on x86_64, where neither Python nor numpy has a barrier. It is the kernel's (fcntl, open
file description). Every change of it happens under a spin lock of the file's: to release that one makes visible all that was read and
written before, to acquire it comes before all that is read and written after. So the pixels that a taker reads between its lock and its
unlock are all of one picture, and the generation compared in between is theirs. Bytes and generations read without the lock only propose
a slot. A message orders in the same way, by the locks of the socket: who has received it sees what was written before it was sent. The
kernel also lets go of the locks of a process that dies.

The file is allocated in full beforehand: a sparse one on a full memory disk would kill the writer in the middle of a picture.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.app.dataflow.ledger import OVERWRITTEN, RING_GONE
from poselift.app.dataflow.messages import Frame
from poselift.app.dataflow.streams import WORKERS
from poselift.common.arrays import Pixels
from poselift.common.errors import UserError

TAKERS = tuple(name for name, worker in WORKERS.items() if Frame in worker.takes)
PAGE = mmap.PAGESIZE
MIN_SLOTS = 4
DRAFT = "draft.ring"
FLOCK = "hhqqi4x"
"""The kernel's `struct flock` on machines of 64 bits: type, whence, start, length, process (0)."""
NEVER = -(2**62)
"""Time of the last picture where there was none yet."""


class PictureGone(Exception):
    """A frame's picture is not there, or no longer: what was made from it must not be used."""

    reason: str
    """As which this drop is counted."""


class Overwritten(PictureGone):
    """The slot holds another picture by now."""

    reason = OVERWRITTEN


class RingGone(PictureGone):
    """The ring's file is not there: capture has replaced it by one for larger pictures, or somebody has removed it."""

    reason = RING_GONE


class Position(NamedTuple):
    """How far a capture came: the number its next frame gets, the time of its last one, ns, and the start of the session they are of.

    `source` is a number for where its pictures come from (0: from nowhere any more, it has ended), `begin_ns` the time of the last frame
    before the first of that source.
    """

    next_frame: int = 0
    t_ns: int = NEVER
    session_ns: int = 0
    source: int = 0
    begin_ns: int = NEVER


BEGINNING = Position()
_SIZES = 2 + len(Position._fields)


class _Layout:
    """The arrays inside a ring file. `held` is uint8 [slots, takers], `generations` uint64 [slots] (0: being written)."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        weakref.finalize(self, os.close, self._descriptor)
        memory = mmap.mmap(self._descriptor, 0)
        self.sizes: npt.NDArray[np.int64] = np.frombuffer(memory, np.int64, _SIZES)  # slots, bytes a slot, Position
        slots, slot_bytes = int(self.sizes[0]), int(self.sizes[1])
        self.generations: npt.NDArray[np.uint64] = np.frombuffer(memory, np.uint64, slots, 64)
        held = np.frombuffer(memory, np.uint8, slots * len(TAKERS), 64 + 8 * slots)
        self.held: npt.NDArray[np.uint8] = held.reshape(slots, len(TAKERS))
        self.pixels: Pixels = np.frombuffer(memory, np.uint8, slots * slot_bytes, _header_bytes(slots)).reshape(slots, slot_bytes)

    def lock(self, slot: int, kind: int) -> bool:
        """Get a slot's lock alone (fcntl.F_WRLCK) or with others (F_RDLCK), or let go of it (F_UNLCK); False where others have it."""
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, struct.pack(FLOCK, kind, os.SEEK_SET, slot, 1, 0))
        except BlockingIOError:
            return False
        return True


class RingWriter:
    """The sender's side of a ring in `folder`, number `number`, for pictures of up to `slot_bytes`.

    Takes fewer slots, down to 4, where the folder has no room for all; raises UserError where it has not even that.
    """

    def __init__(self, folder: Path, number: int, slots: int, slot_bytes: int, start: Position = BEGINNING) -> None:
        self.number = number
        self.path = ring_path(folder, number)
        self.slot_bytes = _pages(slot_bytes)
        self.slots = _allocate(self.path, slots, self.slot_bytes, start)
        self._layout = _Layout(self.path)
        self._inode = self.path.stat().st_ino
        self._generation = 0

    def free_slots(self) -> list[int]:
        """The slots that nobody holds, the one written longest ago first."""
        free = np.flatnonzero(~self._layout.held.any(axis=1))
        return [int(slot) for slot in free[np.argsort(self._layout.generations[free])]]

    def claim(self, slots: Iterable[int]) -> int | None:
        """The first of these slots into which nobody looks, nor will until it is written; None where there is none."""
        return next((slot for slot in slots if self._layout.lock(slot, fcntl.F_WRLCK)), None)

    def write(self, slot: int, picture: Pixels, position: Position) -> int:
        """Put a picture into a claimed slot; returns its generation. `position` is where a restarted capture would go on."""
        layout = self._layout
        layout.generations[slot] = 0
        np.copyto(layout.pixels[slot, : picture.size].reshape(picture.shape), picture)
        self._generation += 1
        layout.generations[slot] = self._generation
        layout.sizes[2:] = position
        layout.lock(slot, fcntl.F_UNLCK)
        return self._generation

    def keep(self, position: Position) -> None:
        """Where a restarted capture would go on, without a picture."""
        self._layout.sizes[2:] = position

    def hold(self, slot: int, taker: str) -> None:
        """Keep the slot until the taker releases it."""
        self._layout.held[slot, TAKERS.index(taker)] = 1

    def release(self, taker: str, slot: int | None = None) -> None:
        """Take back a hold; without a slot, all of this taker's: it died."""
        self._layout.held[slice(None) if slot is None else slot, TAKERS.index(taker)] = 0

    def all_released(self) -> bool:
        """Whether every picture was seen by all who must see it."""
        return not self._layout.held.any()

    def is_there(self) -> bool:
        """Whether the file is where takers look for it."""
        with suppress(OSError):
            return self.path.stat().st_ino == self._inode
        return False

    def remove(self) -> None:
        """Delete the file; takers that have it open keep their view."""
        self.path.unlink(missing_ok=True)


class RingReader:
    """A taker's side of the rings in `folder`. To be made before the first frame is taken: what an earlier one held is let go."""

    def __init__(self, folder: Path, taker: str) -> None:
        self._folder = folder
        self._taker = TAKERS.index(taker)
        self._number = -1
        self._layout: _Layout | None = None
        for path in _rings(folder).values():  # the sender may not notice that a taker died if another is there at once
            with suppress(FileNotFoundError, ValueError):  # it is gone by now, or damaged
                _Layout(path).held[:, self._taker] = 0

    @contextmanager
    def picture(self, frame: Frame) -> Iterator[Pixels]:
        """The pixels of a frame, uint8 [height, width, 3] BGR, read-only, valid inside the `with` only.

        Raises PictureGone on entry. At the end, Overwritten tells of a sender that has written without asking.
        """
        with self._locked(frame) as layout:
            layout.held[frame.slot, self._taker] = 1
            pixels = layout.pixels[frame.slot, : frame.height_px * frame.width_px * 3].reshape(frame.height_px, frame.width_px, 3)
            pixels.flags.writeable = False
            yield pixels
            self._check(layout, frame)

    def check(self, frame: Frame) -> None:
        """Raise PictureGone where the frame's picture is no longer in its slot."""
        self._check(self._ring(frame.ring), frame)

    def release(self, frame: Frame) -> None:
        """Let go of a frame without looking at it."""
        with suppress(PictureGone), self._locked(frame):
            pass

    @contextmanager
    def _locked(self, frame: Frame) -> Iterator[_Layout]:
        """The ring, while nobody may write into the frame's slot; at the end this taker holds that no longer."""
        layout = self._ring(frame.ring)
        if not layout.lock(frame.slot, fcntl.F_RDLCK):
            raise Overwritten
        try:
            self._check(layout, frame)  # else the byte may hold the slot's next picture for this taker
            try:
                yield layout
            finally:
                layout.held[frame.slot, self._taker] = 0
        finally:
            layout.lock(frame.slot, fcntl.F_UNLCK)

    def _check(self, layout: _Layout, frame: Frame) -> None:
        if layout.generations[frame.slot] != frame.generation:
            raise Overwritten

    def _ring(self, number: int) -> _Layout:
        if number != self._number or self._layout is None:
            try:
                self._layout = _Layout(ring_path(self._folder, number))
            except FileNotFoundError:
                raise RingGone from None
            self._number = number
        return self._layout


def ring_path(folder: Path, number: int) -> Path:
    """Where ring `number` lies."""
    return folder / f"frames-{number}.ring"


def take_over(folder: Path, session_ns: int) -> tuple[int, Position]:
    """Number for a new ring, and where an earlier capture of the session that began then stopped; removes what that one left.

    No ring ever has the number of another, for takers may still have that one open: where none is there to count on from, the time is
    its number. What another session left, such as that of an earlier boot, or a power cut, has other numbers and times: this one begins
    anew. Until the new ring is there, one without slots keeps the position in its place: this capture may die before.
    """
    rings = _rings(folder)
    position = Position(session_ns=session_ns)
    if not rings:
        return time.time_ns(), position
    newest = max(rings)
    sizes = np.fromfile(rings[newest], np.int64, _SIZES)
    if len(sizes) == _SIZES and (left := Position(*map(int, sizes[2:]))).session_ns == session_ns:
        position = left
    _allocate(ring_path(folder, newest + 1), 0, 0, position)
    for path in rings.values():
        path.unlink()
    return newest + 1, position


def _rings(folder: Path) -> dict[int, Path]:
    """The rings in a folder by their numbers; what only begins like the name of one is none."""
    numbers = {path: path.stem[len("frames-") :] for path in folder.glob("frames-*.ring")}
    return {int(number): path for path, number in numbers.items() if number.isascii() and number.isdigit()}


def _pages(count: int) -> int:
    return -(-count // PAGE) * PAGE


def _header_bytes(slots: int) -> int:
    return _pages(64 + slots * (8 + len(TAKERS)))


def _allocate(path: Path, slots: int, slot_bytes: int, position: Position) -> int:
    """Make a ring with as many of the slots as there is room for; returns how many."""
    while True:
        try:
            _make(path, slots, slot_bytes, position)
            return slots
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        if slots <= MIN_SLOTS:
            need = f"{(_header_bytes(slots) + slots * slot_bytes) / 2**20:.0f} MB for {slots} frames"
            raise UserError(f"{path.parent}: no room ({need}); set runtime_folder in the config to a folder that has it")
        slots = max(MIN_SLOTS, slots // 2)


def _make(path: Path, slots: int, slot_bytes: int, position: Position) -> None:
    """Make a ring beside its place and then move it there: nobody ever finds half a ring."""
    draft = path.with_name(DRAFT)
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _header_bytes(slots) + slots * slot_bytes)
        os.pwrite(descriptor, np.array([slots, slot_bytes, *position], np.int64).tobytes(), 0)
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    finally:
        os.close(descriptor)
