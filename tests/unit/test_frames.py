"""The ring of frames: a picture is the one that was announced, or it is not used."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from poselift.app.dataflow.frames import (
    BEGINNING,
    MIN_SLOTS,
    NEVER,
    PAGE,
    Overwritten,
    Position,
    RingGone,
    RingReader,
    RingWriter,
    take_over,
)
from poselift.app.dataflow.messages import Frame
from poselift.common.arrays import Pixels
from poselift.common.errors import UserError

HEIGHT_PX, WIDTH_PX = 30, 40
SIDE_PX, COLOURS = 600, 7
NEXT = "next"
ROOT = Path(__file__).parents[2]


def filled(value: int, height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> Pixels:
    return np.full((height_px, width_px, 3), value, np.uint8)


def frame_of_ring(number: int, slot: int, generation: int, height_px: int, width_px: int) -> Frame:
    return Frame(0, 0, width_px, height_px, 0.0, number, slot, generation, "ring", b"", 0, ())


def frame_of(ring: RingWriter, slot: int, generation: int, height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX) -> Frame:
    return frame_of_ring(ring.number, slot, generation, height_px, width_px)


def a_ring(folder: Path, slots: int = 4, number: int = 0, start: Position = BEGINNING) -> RingWriter:
    return RingWriter(folder, number, slots, HEIGHT_PX * WIDTH_PX * 3, start)


def put(ring: RingWriter, slot: int, value: int, frame: int = 0) -> Frame:
    return frame_of(ring, slot, ring.write(slot, filled(value), Position(frame + 1, frame)))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    picture = np.random.default_rng(1).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    frame = frame_of(ring, 2, ring.write(2, picture, BEGINNING))
    with reader.picture(frame) as seen:
        np.testing.assert_array_equal(seen, picture)
        assert seen.shape == (HEIGHT_PX, WIDTH_PX, 3)
        with pytest.raises(ValueError, match="read-only"):
            seen[0] = 0


def test_smaller_pictures_and_views_of_larger_ones_fit(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    large = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    picture = large[10:30:2, 70:9:-3]
    assert not picture.flags.contiguous
    with reader.picture(frame_of(ring, 0, ring.write(0, picture, BEGINNING), *picture.shape[:2])) as seen:
        np.testing.assert_array_equal(seen, picture)


def test_slots_do_not_touch_each_other(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path, slots=5), RingReader(tmp_path, "detect")
    frames = [put(ring, slot, 10 + slot) for slot in range(5)]
    for slot, frame in enumerate(frames):
        with reader.picture(frame) as seen:
            assert (seen == 10 + slot).all()


def test_the_oldest_free_slot_comes_first(tmp_path: Path) -> None:
    ring = a_ring(tmp_path)
    assert sorted(ring.free_slots()) == [0, 1, 2, 3]
    for slot in (2, 0, 3):
        put(ring, slot, 1)
    assert ring.free_slots() == [1, 2, 0, 3]
    put(ring, 1, 1)
    put(ring, 2, 1)
    assert ring.free_slots() == [0, 3, 1, 2]


def test_a_slot_is_kept_until_all_have_released_it(tmp_path: Path) -> None:
    ring, detect, record = a_ring(tmp_path), RingReader(tmp_path, "detect"), RingReader(tmp_path, "record")
    frames = [put(ring, slot, slot) for slot in range(4)]
    for taker in ("detect", "record"):
        ring.hold(1, taker)
    ring.hold(2, "record")
    assert ring.free_slots() == [0, 3] and not ring.all_released()
    detect.release(frames[1])
    assert ring.free_slots() == [0, 3]
    with record.picture(frames[1]):
        assert ring.free_slots() == [0, 3]
    assert ring.free_slots() == [0, 1, 3]
    ring.release("record", 2)
    assert ring.free_slots() == [0, 1, 2, 3] and ring.all_released()


def test_a_slot_is_kept_while_somebody_looks(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    with reader.picture(put(ring, 3, 1)):
        assert 3 not in ring.free_slots()
    assert 3 in ring.free_slots()


def test_who_looks_and_who_writes_keep_each_other_out(tmp_path: Path) -> None:
    ring, detect, record = a_ring(tmp_path), RingReader(tmp_path, "detect"), RingReader(tmp_path, "record")
    frames = [put(ring, slot, slot) for slot in range(4)]
    with detect.picture(frames[2]), record.picture(frames[2]), record.picture(frames[3]):
        ring.release("detect")
        ring.release("record")
        assert ring.claim([2, 3]) is None, "although no byte says so: the slot seemed free a moment ago"
        assert ring.claim([2, 0, 1]) == 0
    for reader in (detect, record):
        with pytest.raises(Overwritten), reader.picture(frames[0]):
            pytest.fail("shows a picture that is being overwritten")
        reader.release(frames[0])
    assert ring.claim([2]) == 2
    new = put(ring, 0, 9)
    with detect.picture(new) as seen:
        assert (seen == 9).all()


def test_a_slot_can_be_written_after_looking_failed(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    old, new = put(ring, 3, 1), put(ring, 3, 2)
    with pytest.raises(Overwritten), reader.picture(old):
        pass
    with pytest.raises(ZeroDivisionError), reader.picture(new):
        _ = 1 / 0
    assert ring.claim([3]) == 3


def test_who_is_killed_while_it_looks_keeps_nobody_out(tmp_path: Path) -> None:
    ring = a_ring(tmp_path)
    frame = put(ring, 1, 1)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    taker = context.Process(target=_look_for_ever, args=(str(tmp_path), frame.slot, frame.generation, theirs), daemon=True)
    taker.start()
    assert ours.recv() == "looking"
    assert ring.claim([1]) is None
    taker.kill()
    taker.join()
    assert ring.claim([1]) == 1


def test_a_slot_is_released_when_looking_fails(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    with pytest.raises(ZeroDivisionError), reader.picture(put(ring, 3, 1)):
        _ = 1 / 0
    assert ring.all_released()


def test_a_picture_overwritten_before_is_noticed(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    old = put(ring, 0, 1)
    put(ring, 0, 2)
    with pytest.raises(Overwritten), reader.picture(old):
        pytest.fail("shows a picture that is not there any more")


def test_a_picture_overwritten_meanwhile_is_noticed(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    old = put(ring, 0, 1)
    looked = False
    with pytest.raises(Overwritten), reader.picture(old) as seen:
        assert (seen == 1).all()
        new = put(ring, 0, 2)
        looked = True
    assert looked
    with reader.picture(new) as seen:
        assert (seen == 2).all()


def test_a_picture_half_written_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies_halfway(target: Pixels, source: Pixels) -> None:
        target[: HEIGHT_PX // 2] = source[: HEIGHT_PX // 2]
        raise KeyboardInterrupt

    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    old = put(ring, 0, 1)
    monkeypatch.setattr("poselift.app.dataflow.frames.np.copyto", dies_halfway)
    with pytest.raises(KeyboardInterrupt):
        put(ring, 0, 2)
    with pytest.raises(Overwritten), reader.picture(old):
        pytest.fail("shows half a picture")


def test_a_late_look_does_not_let_go_of_what_the_slot_holds_now(tmp_path: Path) -> None:
    """A recorder that is behind comes to a picture that is gone; the next one in that slot still waits for it."""
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "record")
    old, new = put(ring, 0, 1), put(ring, 0, 2)
    ring.hold(0, "record")
    with pytest.raises(Overwritten), reader.picture(old):
        pass
    reader.release(old)
    assert 0 not in ring.free_slots()
    reader.release(new)
    assert 0 in ring.free_slots()


def test_a_taker_that_died_holds_nothing(tmp_path: Path) -> None:
    ring = a_ring(tmp_path)
    for slot in range(3):
        ring.hold(slot, "detect")
    ring.hold(2, "record")
    ring.release("detect")
    assert sorted(ring.free_slots()) == [0, 1, 3]


def test_a_taker_that_comes_back_lets_go_of_what_it_held(tmp_path: Path) -> None:
    """Where it is back before the sender looks, nobody tells the sender that it was away."""
    ring = a_ring(tmp_path)
    for slot in range(4):
        ring.hold(slot, "record")
    ring.hold(0, "detect")
    RingReader(tmp_path, "record")
    assert sorted(ring.free_slots()) == [1, 2, 3]


def test_pictures_that_grow_get_a_new_ring(tmp_path: Path) -> None:
    small, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    with reader.picture(put(small, 0, 1)) as seen:
        assert (seen == 1).all()
    late = put(small, 1, 9)
    large = RingWriter(tmp_path, small.number + 1, 4, 60 * 80 * 3)
    small.remove()
    with reader.picture(frame_of(large, 0, large.write(0, filled(2, 60, 80), BEGINNING), 60, 80)) as seen:
        assert seen.shape == (60, 80, 3) and (seen == 2).all()
    with pytest.raises(RingGone), reader.picture(late):
        pytest.fail("finds a ring that was removed")
    reader.release(late)
    small.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["frames-1.ring"]


def test_a_picture_in_view_stays_when_its_ring_is_removed(tmp_path: Path) -> None:
    ring, reader = a_ring(tmp_path), RingReader(tmp_path, "detect")
    with reader.picture(put(ring, 0, 1)) as seen:
        ring.remove()
        assert (seen == 1).all()


def test_a_ring_is_there_until_takers_would_find_none_or_another(tmp_path: Path) -> None:
    ring = a_ring(tmp_path)
    assert ring.is_there()
    shutil.copy(ring.path, tmp_path / "another")
    (tmp_path / "another").replace(ring.path)
    assert not ring.is_there()
    ring.remove()
    assert not ring.is_there()


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert a_ring(tmp_path).path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_a_ring_has_all_its_room_from_the_start(tmp_path: Path) -> None:
    status = a_ring(tmp_path, slots=8).path.stat()
    assert status.st_size >= 8 * HEIGHT_PX * WIDTH_PX * 3
    assert status.st_blocks * 512 >= status.st_size


def test_nothing_to_take_over(tmp_path: Path) -> None:
    number, position = take_over(tmp_path, 0)
    assert position == Position(0, NEVER)
    assert list(tmp_path.iterdir()) == []
    assert take_over(tmp_path, 0)[0] != number, "a ring that was removed is still in its takers' memory"


def test_a_capture_that_comes_back_goes_on_where_it_was(tmp_path: Path) -> None:
    ring = a_ring(tmp_path, number=7)
    for frame in range(5):
        put(ring, frame % 4, 1, frame)
    number, position = take_over(tmp_path, 0)
    assert (number, position) == (8, Position(5, 4))
    again = a_ring(tmp_path, number=number, start=position)
    assert [path.name for path in tmp_path.iterdir()] == ["frames-8.ring"]
    assert RingReader(tmp_path, "detect") and again.all_released()
    assert take_over(tmp_path, 0) == (9, position)


def test_a_capture_that_dies_again_before_its_first_picture_loses_nothing(tmp_path: Path) -> None:
    put(a_ring(tmp_path), 0, 1, frame=41)
    for number in (1, 2, 3):
        assert take_over(tmp_path, 0) == (number, Position(42, 41))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= PAGE, "an old ring is kept"
        RingReader(tmp_path, "detect")  # finds no slots


def test_what_another_session_left_is_removed_and_its_numbers_and_times_do_not_go_on(tmp_path: Path) -> None:
    yesterday, today = 1000, 2000
    ring = a_ring(tmp_path, start=Position(session_ns=yesterday))
    ring.write(0, filled(1), Position(41, 10**15, yesterday))
    assert take_over(tmp_path, yesterday) == (1, Position(41, 10**15, yesterday))
    assert take_over(tmp_path, today) == (2, Position(0, NEVER, today))
    assert take_over(tmp_path, today) == (3, Position(0, NEVER, today))
    assert [path.name for path in tmp_path.iterdir()] == ["frames-3.ring"]


def test_the_last_of_several_rings_counts(tmp_path: Path) -> None:
    for number, frame in ((9, 90), (10, 100), (2, 20)):
        put(a_ring(tmp_path, number=number), 0, 1, frame)
    assert take_over(tmp_path, 0) == (11, Position(101, 100))
    assert [path.name for path in tmp_path.iterdir()] == ["frames-11.ring"]


def test_what_is_no_ring_and_what_a_power_cut_left_of_one_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "frames-old.ring").write_bytes(b"kept")
    put(a_ring(tmp_path, number=3), 0, 1, frame=30)
    (tmp_path / "frames-4.ring").write_bytes(b"")
    RingReader(tmp_path, "detect")
    assert take_over(tmp_path, 0) == (5, Position(0, NEVER))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames-5.ring", "frames-old.ring"]
    (tmp_path / "frames-5.ring").write_bytes(bytes(3 * PAGE))
    RingReader(tmp_path, "detect")
    assert take_over(tmp_path, 7) == (6, Position(0, NEVER, 7))


def test_less_room_gives_fewer_slots_and_too_little_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allocate, room = os.posix_fallocate, 6 * _slot_bytes()

    def tight(descriptor: int, offset: int, size: int) -> None:
        if size > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        allocate(descriptor, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", tight)
    assert a_ring(tmp_path, slots=4).slots == 4
    assert a_ring(tmp_path, slots=8, number=1).slots == 4
    room = MIN_SLOTS * _slot_bytes()  # but none for the header
    with pytest.raises(UserError, match=r"no room \(0 MB for 4 frames\); set runtime_folder"):
        a_ring(tmp_path, slots=8, number=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames-0.ring", "frames-1.ring"]


def test_other_trouble_is_not_called_lack_of_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        a_ring(tmp_path)
    assert list(tmp_path.iterdir()) == []


FULL = """
import sys, numpy as np
from pathlib import Path
from poselift.common.errors import UserError
from poselift.app.dataflow.frames import RingWriter, Position
folder = Path(sys.argv[1])
ring = RingWriter(folder, 0, 8, 300_000)
print(ring.slots)
for slot in range(ring.slots):
    ring.write(slot, np.ones((100, 1000, 3), np.uint8), Position())
try:
    RingWriter(folder, 1, 8, 300_000)
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can mount a small memory disk")
def test_a_memory_disk_that_is_really_full(tmp_path: Path) -> None:
    command = 'mount -t tmpfs -o size=2m none "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, "sh", str(tmp_path), sys.executable, FULL], cwd=ROOT, capture_output=True, text=True
    )
    if "mount" in done.stderr:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")
    slots, error = done.stdout.splitlines()
    assert slots == "4"
    assert error == f"{tmp_path}: no room (1 MB for 4 frames); set runtime_folder in the config to a folder that has it"


def test_no_torn_picture_is_ever_accepted(tmp_path: Path) -> None:
    """A writer that respects nobody, as fast as it can, against a reader in another process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    reader = context.Process(target=_look, args=(str(tmp_path), theirs), daemon=True)
    ring = RingWriter(tmp_path, 0, 16, SIDE_PX * SIDE_PX * 3)
    pictures = [filled(value, SIDE_PX, SIDE_PX) for value in range(COLOURS)]
    reader.start()
    theirs.close()
    generation, outcome = 0, NEXT
    while outcome == NEXT:
        slot = generation % ring.slots
        generation = ring.write(slot, pictures[(generation + 1) % COLOURS], BEGINNING)
        if ours.poll() and (outcome := ours.recv()) == NEXT:
            ours.send((slot, generation))
    reader.join()
    assert outcome == "none torn"


def _look(folder: str, writer: Connection) -> None:
    """Look at the newest picture in haste, mostly before it is overwritten, and at leisure, until it is."""
    ring = RingReader(Path(folder), "detect")
    whole = overwritten = 0
    while whole < 50 or overwritten < 50:
        writer.send(NEXT)
        slot, generation = writer.recv()
        looks = 1 if whole < overwritten else 100_000
        try:
            with ring.picture(frame_of_ring(0, slot, generation, SIDE_PX, SIDE_PX)) as picture:
                good = all((picture[::16] == generation % COLOURS).all() for _ in range(looks))
        except Overwritten:
            overwritten += looks > 1
            continue
        if not good:
            writer.send(f"a torn picture was accepted after {whole} whole ones")
            return
        whole += 1
    writer.send("none torn")


def test_what_is_looked_at_stays(tmp_path: Path) -> None:
    """A sender that asks before it writes, as fast as it can, against a taker in another process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    reader = context.Process(target=_stare, args=(str(tmp_path), theirs), daemon=True)
    ring = RingWriter(tmp_path, 0, MIN_SLOTS, SIDE_PX * SIDE_PX * 3)
    pictures = [filled(value, SIDE_PX, SIDE_PX) for value in range(COLOURS)]
    reader.start()
    theirs.close()
    generation, outcome = 0, NEXT
    while outcome == NEXT:
        slot = ring.claim(ring.free_slots())
        assert slot is not None
        generation = ring.write(slot, pictures[(generation + 1) % COLOURS], BEGINNING)
        if ours.poll() and (outcome := ours.recv()) == NEXT:
            ours.send((slot, generation))
    reader.join()
    assert outcome == "all stayed"


def _stare(folder: str, writer: Connection) -> None:
    """Look at pictures for as long as it takes to overwrite them several times, if that were possible."""
    ring = RingReader(Path(folder), "detect")
    whole = 0
    while whole < 50:
        writer.send(NEXT)
        slot, generation = writer.recv()
        entered = False
        try:
            with ring.picture(frame_of_ring(0, slot, generation, SIDE_PX, SIDE_PX)) as picture:
                entered = True
                good = all((picture[::16] == generation % COLOURS).all() for _ in range(100))
        except Overwritten:
            good = not entered  # it may be gone before, but not while it is looked at
        else:
            whole += 1
        if not good:
            writer.send(f"a picture changed while it was looked at, after {whole} that did not")
            return
    writer.send("all stayed")


def _look_for_ever(folder: str, slot: int, generation: int, test: Connection) -> None:
    with RingReader(Path(folder), "detect").picture(frame_of_ring(0, slot, generation, HEIGHT_PX, WIDTH_PX)):
        test.send("looking")
        test.recv()


def _slot_bytes() -> int:
    return -(-HEIGHT_PX * WIDTH_PX * 3 // PAGE) * PAGE
