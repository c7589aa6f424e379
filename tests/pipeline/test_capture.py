"""What capture does with time, its source and the ring: no socket, no thread, and a clock that the test moves."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional, Union

import numpy as np
import pytest
from fake_camera import FakeKernel, FakeMachine

from poselift.app.config import CaptureConfig, Config
from poselift.app.dataflow.frames import RingGone, RingReader
from poselift.app.dataflow.ledger import CAMERA_DROPPED, DAMAGED
from poselift.app.dataflow.memory_bus import MemoryHub
from poselift.app.dataflow.messages import Control, End, Frame, Health, Pose2D, Pose3D
from poselift.app.dataflow.streams import WATCH, links
from poselift.app.dataflow.tally import Tally
from poselift.app.processes.loop import Loop
from poselift.common.errors import UserError
from poselift.workers.capture import DECODE_NS, SLOT_WAIT_NS, Capture, Wait, run
from poselift.workers.frame_writer import KEPT_FREE, FrameWriter
from poselift.workers.sources import CapturedPicture, Lost, SourceLost
from poselift.workers.sources.v4l2 import V4l2Source

MS = 10**6
START_NS = 10**15
PERIOD_MS = 40
ALL = frozenset({"detect", "record"})


class Clock:
    """Time as the test tells it."""

    def __init__(self) -> None:
        self.ns = START_NS

    def __call__(self) -> int:
        return self.ns

    @property
    def ms(self) -> float:
        """Since the start."""
        return (self.ns - START_NS) / MS


class Source:
    """Pictures whose first pixel is their number; taking one takes as long as the test says. Then it ends, or is lost."""

    def __init__(
        self,
        clock: Clock,
        times_ms: Iterable[Union[float, Lost]],
        live: bool = False,
        takes_ms: float = 0,
        lost: str = "",
        note: str = "",
        side_px: int = 8,
    ) -> None:
        self.name, self.live, self.note, self.fps, self.frames = "it", live, note, 1000 / PERIOD_MS, None
        self._clock, self._times_ms, self._takes_ms, self._lost, self._side_px = clock, times_ms, takes_ms, lost, side_px
        self.closed = 0
        self.taken: list[float] = []
        """When each picture was asked for, ms."""

    def __iter__(self) -> Iterator[Union[CapturedPicture, Lost]]:
        for number, time_ms in enumerate(self._times_ms):
            if isinstance(time_ms, Lost):
                yield time_ms
                continue
            self.taken.append(self._clock.ms)
            self._clock.ns += round(self._takes_ms * MS)
            t_ns = round(time_ms * MS) + (START_NS if self.live else 0)
            yield CapturedPicture(np.full((self._side_px, self._side_px, 3), number, np.uint8), t_ns)
        if self._lost:
            raise SourceLost(self._lost)

    def close(self) -> None:
        self.closed += 1


class Rig:
    """A capture, and what is around it."""

    def __init__(
        self,
        folder: Path,
        *sources: Union[Source, str],
        clock: Clock,
        paced: bool = False,
        live: bool = True,
        slots: int = 8,
        identity: int = 1,
    ) -> None:
        self.clock = clock
        self._sources = iter(sources[1:])
        self.opened_ms: list[float] = []
        settings = CaptureConfig(source="it", reopen_pause_s=0.5, reopen_pause_max_s=3)
        folder.mkdir(exist_ok=True)
        self._readers = {taker: RingReader(folder, taker) for taker in ALL}
        self.writer = FrameWriter(folder, slots, live, ("record",) if live else ("detect", "record"), identity)
        camera = isinstance(sources[0], str) or sources[0].live
        self.capture = Capture(settings, self.writer, self.writer.timeline(camera), paced, self._open, clock)
        if isinstance(sources[0], str):
            self.capture.wait_for_it(sources[0])
        else:
            self.capture.begin(sources[0])
        self.lost: list[Lost] = []
        self.sent_ms: list[float] = []

    def _open(self) -> Source:
        self.opened_ms.append(self.clock.ms)
        source = next(self._sources)
        if isinstance(source, str):
            raise UserError(source)
        return source

    def next(self, takers: frozenset[str] = ALL, late_ms: float = 0) -> Optional[Frame]:
        """The next frame, waited for as long as the capture wants, and a little longer."""
        for _ in range(1000):
            done = self.capture.step(takers)
            if done is None or isinstance(done, Frame):
                self.sent_ms += [self.clock.ms] if done else []
                return done
            if isinstance(done, Lost):
                self.lost.append(done)
            elif done.until_ns > self.clock.ns:
                self.clock.ns = done.until_ns + round(late_ms * MS)
        pytest.fail("the capture waits for ever")

    def frames(self, most: int = 10**6, **how: float) -> list[Frame]:
        return list(itertools.islice(iter(lambda: self.next(**how), None), most))

    def is_full(self) -> bool:
        """Whether the capture has a picture in hand and no room for it, now and after several looks."""
        looks = []
        for _ in range(10):
            done = self.capture.step(ALL)
            assert isinstance(done, Wait)
            looks.append(done.until_ns - self.clock.ns == SLOT_WAIT_NS)
            self.clock.ns = max(self.clock.ns, done.until_ns)
        return all(looks[5:])

    def look(self, frames: Iterable[Frame], taker: str) -> list[int]:
        """Look at frames as a taker does, which lets go of them; the numbers in their pixels."""
        seen = []
        for frame in frames:
            with self._readers[taker].picture(frame) as pixels:
                seen.append(int(pixels[0, 0, 0]))
        return seen


@pytest.fixture
def clock() -> Clock:
    return Clock()


def every(period_ms: float, count: int, first_ms: float = 0) -> list[float]:
    return [first_ms + number * period_ms for number in range(count)]


def test_a_files_pictures_come_when_they_are_due(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 5), takes_ms=3), clock=clock, paced=True)
    frames = rig.frames()
    assert rig.sent_ms == [3, 43, 83, 123, 163]
    assert [(frame.frame, frame.t_ns, frame.fps, frame.width_px) for frame in frames] == [(n, n * 40 * MS, 25.0, 8) for n in range(5)]


def test_delays_do_not_add_up(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 50)), clock=clock, paced=True)
    rig.frames(late_ms=2)
    assert rig.sent_ms == [0, *(n * 40 + 2 for n in range(1, 50))]


def test_the_first_pictures_time_may_be_any(tmp_path: Path, clock: Clock) -> None:
    for first_ms in (7000, 10**9):
        rig = Rig(tmp_path / str(first_ms), Source(clock, every(40, 3, first_ms)), clock=clock, paced=True)
        begin_ms = clock.ms
        assert [frame.t_ns for frame in rig.frames()] == [(first_ms + n * 40) * MS for n in range(3)]
        assert [at - begin_ms for at in rig.sent_ms] == [0, 40, 80]


def test_a_pause_in_a_file_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, [0, 40, 5000, 5040]), clock=clock, paced=True)
    rig.frames()
    assert rig.sent_ms == [0, 40, 5000, 5040]


def test_late_pictures_come_at_once_until_they_are_no_longer_late(tmp_path: Path, clock: Clock) -> None:
    source = Source(clock, every(40, 8))
    rig = Rig(tmp_path, source, clock=clock, paced=True)
    rig.frames(2)
    clock.ns += 150 * MS  # the machine was busy
    frames = rig.frames()
    assert rig.sent_ms == [0, 40, 190, 190, 190, 200, 240, 280]
    assert [frame.trace[0].received_ns - START_NS for frame in frames] == [n * 40 * MS for n in range(2, 8)], "late is old"


def test_the_next_picture_is_decoded_shortly_before_it_is_due(tmp_path: Path, clock: Clock) -> None:
    source = Source(clock, every(40, 4), takes_ms=5)
    rig = Rig(tmp_path, source, clock=clock, paced=True)
    rig.frames()
    assert source.taken == [0, *(5 + n * 40 - DECODE_NS / MS for n in (1, 2, 3))]
    assert rig.sent_ms == [5, 45, 85, 125]


def test_without_pacing_nothing_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 6), takes_ms=7), clock=clock, live=False)
    frames = []
    while (frame := rig.next()) is not None:
        rig.look([frame], "detect")
        frames.append(frame)
        rig.look([frame], "record")
    assert rig.sent_ms == [7, 14, 21, 28, 35, 42]
    assert [frame.trace[0].received_ns - START_NS for frame in frames] == [n * 7 * MS for n in range(6)], "since decoding began"


def test_a_cameras_pictures_are_as_old_as_the_camera_says(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(33, 3), live=True, takes_ms=50), clock=clock)
    assert [(frame.t_ns, frame.trace[0].received_ns) for frame in rig.frames()] == [(START_NS + n * 33 * MS,) * 2 for n in range(3)]


def test_a_wait_can_be_left_at_any_time(tmp_path: Path, clock: Clock) -> None:
    """Whoever steps need not wait: nothing comes before its time, however often it is asked."""
    source = Source(clock, [0, 60_000])
    rig = Rig(tmp_path, source, clock=clock, paced=True)
    assert rig.next()
    for _ in range(100):
        done = rig.capture.step(ALL)
        assert isinstance(done, Wait) and done.until_ns > clock.ns
        clock.ns += 10 * MS if clock.ms < 40 else 0
    rig.capture.close()
    assert source.closed == 1


def test_a_files_end_is_told_once_and_for_ever(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, [0], note="truncated: 1 of 9"), clock=clock)
    assert rig.capture.note == ""
    assert len(rig.frames()) == 1
    assert rig.next() is None
    assert (rig.capture.note, rig.capture.last_note) == ("", "truncated: 1 of 9")


def test_a_lost_camera_is_opened_again_after_pauses_that_grow(tmp_path: Path, clock: Clock) -> None:
    first = Source(clock, [0, 40], live=True, lost="it is gone")
    second = Source(clock, every(40, 2, 20_000), live=True, note="it did not take fps 60")
    rig = Rig(tmp_path, first, "busy", "busy", "busy", "still busy", second, clock=clock)
    notes = []
    for _ in range(100):
        done = rig.capture.step(ALL)
        notes += [rig.capture.note] if notes[-1:] != [rig.capture.note] else []
        clock.ns = max(clock.ns, done.until_ns) if isinstance(done, Wait) else clock.ns
        if done is None:
            break
    assert rig.opened_ms == [500, 1500, 3500, 6500, 9500]
    assert notes == ["", "it is gone", *(f"busy; next try in {pause} s" for pause in (1, 2, 3)), "still busy; next try in 3 s", second.note]
    assert first.closed == 1
    assert rig.writer.position.next_frame == 4


def test_the_pauses_are_between_the_tries_however_long_these_take(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, "not there yet", "busy", "busy", Source(clock, [50_000], live=True), clock=clock)
    opens, rig.capture._open_source = rig.capture._open_source, lambda: setattr(clock, "ns", clock.ns + 6000 * MS) or opens()
    assert rig.capture.note == "not there yet"
    assert rig.next()
    assert rig.opened_ms == [6500, 6500 + 1000 + 6000, 13_500 + 2000 + 6000]


def test_the_pauses_begin_anew_with_every_loss(tmp_path: Path, clock: Clock) -> None:
    lost = [Source(clock, [n * 10_000], live=True, lost="gone") for n in range(3)]
    rig = Rig(tmp_path, lost[0], "busy", lost[1], "busy", lost[2], clock=clock)
    rig.frames(3)
    assert rig.opened_ms == [500, 1500, 2000, 3000]


def test_a_camera_that_comes_back_goes_on_with_its_numbers(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, [0, 40], live=True, lost="gone"), Source(clock, [900, 940], live=True), clock=clock)
    frames = rig.frames()
    assert [frame.frame for frame in frames] == [0, 1, 2, 3]
    assert [frame.t_ns - START_NS for frame in frames] == [0, 40 * MS, 900 * MS, 940 * MS]


def test_from_a_file_a_full_ring_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 6)), clock=clock, live=False, slots=4)
    frames = rig.frames(4)
    assert rig.is_full(), "both hold all"
    rig.look(frames[:2], "detect")
    rig.look(frames[1:], "record")
    fifth = rig.next()
    assert fifth and (fifth.frame, fifth.slot) == (4, frames[1].slot)
    assert rig.look([fifth], "detect") == [4], "the picture that waited"
    assert rig.is_full()


def test_from_a_file_every_slot_waits_for_all(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 40)), clock=clock, live=False, slots=4)
    seen, frame = [], rig.next()
    while frame:
        seen.append((frame.frame, *rig.look([frame], "record"), *rig.look([frame], "detect")))
        frame = rig.next()
    assert seen == [(n, n, n) for n in range(40)]


def test_live_a_slow_recorder_keeps_all_but_a_few_slots(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 30), live=True), clock=clock, slots=6)
    frames = rig.frames()
    assert len(frames) == 30, "nobody waits for a recorder"
    kept = {frame.slot for frame in frames[: 6 - KEPT_FREE]}
    assert len(kept) == 6 - KEPT_FREE
    assert {frame.slot for frame in frames[6 - KEPT_FREE :]} == set(range(6)) - kept
    assert rig.look(frames[: 6 - KEPT_FREE], "record") == [0, 1, 2, 3]


def test_live_a_ring_in_which_everybody_looks_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 9), live=True), clock=clock, slots=4)
    frames = rig.frames(4)
    for slot in range(4):
        rig.writer._ring.hold(slot, "detect")  # type: ignore[union-attr]
    assert rig.is_full()
    rig.look(frames[3:], "detect")
    fifth = rig.next()
    assert fifth and fifth.slot == frames[3].slot


def test_who_dies_holds_nothing(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 9)), clock=clock, live=False, slots=4)
    frames = rig.frames(4)
    rig.look(frames, "record")
    assert rig.is_full()
    assert isinstance(rig.capture.step(frozenset({"record"})), Frame), "detect has died"


def test_who_was_not_told_holds_nothing(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 20), live=True), clock=clock, slots=6)
    slots = []
    while (frame := rig.next()) is not None:
        rig.writer.release(frame, ("record",))
        slots.append(frame.slot)
    assert slots[:6] == slots[6:12] == slots[12:18], "every slot is used again"


def test_a_larger_picture_gets_a_new_ring_when_the_old_one_is_done_with(tmp_path: Path, clock: Clock) -> None:
    small, large = Source(clock, [0, 40], live=True, lost="gone"), Source(clock, [900], live=True, side_px=80)
    rig = Rig(tmp_path, small, large, clock=clock, slots=6)
    frames = rig.frames(2)
    assert rig.is_full(), "the recorder has not seen the small ones"
    assert rig.look(frames, "record") == [0, 1]
    third = rig.next()
    assert third and (third.frame, third.ring, third.width_px) == (2, frames[0].ring + 1, 80)
    assert [path.name for path in tmp_path.glob("*.ring")] == [f"frames-{third.ring}.ring"]
    assert rig.look([third], "record") == [0]


def test_a_new_ring_does_not_wait_for_the_dead(tmp_path: Path, clock: Clock) -> None:
    small, large = Source(clock, [0, 40], live=True, lost="gone"), Source(clock, [900], live=True, side_px=80)
    rig = Rig(tmp_path, small, large, clock=clock, slots=6)
    rig.frames(2)
    third = rig.next(takers=frozenset({"detect"}))
    assert third and third.width_px == 80


def test_a_smaller_picture_stays_in_the_ring(tmp_path: Path, clock: Clock) -> None:
    large, small = Source(clock, [0], live=True, lost="gone", side_px=80), Source(clock, [900], live=True)
    rig = Rig(tmp_path, large, small, clock=clock)
    first, second = rig.frames()
    assert first.ring == second.ring
    assert rig.look([second], "record") == [0]


def test_a_ring_that_somebody_removes_gives_way_to_a_new_one(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 9), live=True), clock=clock, slots=6)
    frames = rig.frames(4)
    ring = tmp_path / f"frames-{frames[0].ring}.ring"
    assert rig.look(frames[:1], "record") == [0]
    ring.unlink()
    frames += rig.frames()
    assert {frame.ring for frame in frames[4:]} == {frames[0].ring + 1}
    assert [frame.frame for frame in frames] == list(range(9)), "no number is left out or used twice"
    assert rig.look(frames[1:], "record") == [*range(1, 9)], "who had the ring open can look into it still"
    with pytest.raises(RingGone):
        rig.look(frames[:1], "detect")
    assert rig.look(frames[4:], "detect") == [*range(4, 9)]
    assert [message.split("; ")[0] for message in caplog.messages] == [
        f"{ring} was removed by somebody else (a login manager may clear a user's files in /dev/shm at logout)",
    ], "it is said once"


def test_a_capture_that_finds_its_ring_removed_makes_no_second_one_of_that_number(tmp_path: Path, clock: Clock) -> None:
    """For takers may still have the first one open."""
    before = Rig(tmp_path, Source(clock, every(40, 9), live=True), clock=clock).frames(2)
    (tmp_path / f"frames-{before[0].ring}.ring").unlink()
    after = Rig(tmp_path, Source(clock, every(40, 9), live=True), clock=clock).frames(2)
    assert after[0].ring != before[0].ring


def test_without_the_folder_those_go_on_who_have_the_ring_open(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path / "run", Source(clock, every(40, 9), live=True), clock=clock)
    assert rig.look(rig.frames(2), "record") == [0, 1]
    shutil.rmtree(tmp_path / "run")
    assert rig.look(rig.frames(2), "record") == [2, 3]
    (tmp_path / "run").mkdir()
    assert rig.look(rig.frames(2), "detect") == [4, 5]


def test_what_the_source_lost_has_numbers_and_is_told(tmp_path: Path, clock: Clock) -> None:
    times = [Lost(1, DAMAGED), 40, 80, Lost(2, DAMAGED), Lost(1, "other"), 240, Lost(3, DAMAGED)]
    rig = Rig(tmp_path, Source(clock, times), clock=clock, paced=True)
    assert [(frame.frame, frame.t_ns) for frame in rig.frames()] == [(1, 40 * MS), (2, 80 * MS), (6, 240 * MS)]
    assert rig.lost == [times[0], times[3], times[4], times[6]]
    assert rig.writer.position.next_frame == 10
    assert rig.sent_ms == [0, 40, 200], "what is lost is not waited for"


def test_a_capture_that_was_restarted_goes_on_where_it_was(tmp_path: Path, clock: Clock) -> None:
    before = Rig(tmp_path, Source(clock, every(40, 10)), clock=clock, paced=True).frames(4)
    rig = Rig(tmp_path, Source(clock, every(40, 10)), clock=clock, paced=True)
    begin_ms = clock.ms
    after = rig.frames()
    assert [frame.frame for frame in before + after] == list(range(10))
    assert [frame.t_ns for frame in before + after] == [n * 40 * MS for n in range(10)]
    assert [at - begin_ms for at in rig.sent_ms] == every(40, 6), "what was sent is not waited for again"


def test_what_was_lost_before_is_not_told_again(tmp_path: Path, clock: Clock) -> None:
    times = [Lost(1, DAMAGED), 40, Lost(2, DAMAGED), 120, 160, Lost(1, "other"), Lost(2, DAMAGED), 280, Lost(4, DAMAGED)]
    before = Rig(tmp_path, Source(clock, times), clock=clock, paced=True)
    numbers = [frame.frame for frame in before.frames(3)]
    assert isinstance(before.capture.step(ALL), (Wait, Lost)), "it dies with what is lost in hand"
    after = Rig(tmp_path, Source(clock, times), clock=clock, paced=True)
    numbers += [frame.frame for frame in after.frames()]
    assert numbers == [1, 4, 5, 9]
    assert before.lost[:2] == [times[0], times[2]] and after.lost == [times[5], times[6], times[8]]
    assert after.writer.position.next_frame == 14


def test_what_was_lost_after_the_last_picture_is_told_also_where_no_other_comes(tmp_path: Path, clock: Clock) -> None:
    times = [0, 40, Lost(3, DAMAGED)]
    Rig(tmp_path, Source(clock, times), clock=clock, paced=True).frames(2)
    after = Rig(tmp_path, Source(clock, times), clock=clock, paced=True)
    assert after.frames() == [] and after.lost == [times[2]]


def test_another_file_in_its_place_is_played_from_its_start(tmp_path: Path, clock: Clock) -> None:
    before = Rig(tmp_path, Source(clock, every(40, 10)), clock=clock, paced=True).frames(6)
    rig = Rig(tmp_path, Source(clock, every(40, 5)), clock=clock, paced=True, identity=2)
    begin_ms = clock.ms
    after = rig.frames()
    assert [frame.frame for frame in before + after] == list(range(11)), "numbers are never used again"
    assert [frame.t_ns for frame in after] == [before[-1].t_ns + 1000 * MS + n * 40 * MS for n in range(5)], "nor times"
    assert [at - begin_ms for at in rig.sent_ms] == every(40, 5)


def test_a_source_that_was_moved_is_moved_again_when_capture_comes_back(tmp_path: Path, clock: Clock) -> None:
    last_ns = Rig(tmp_path, Source(clock, every(40, 10)), clock=clock, paced=True).frames()[-1].t_ns
    frames = []
    for most in (3, 2, 9):
        frames += Rig(tmp_path, Source(clock, every(40, 8)), clock=clock, paced=True, identity=2).frames(most)
    assert [frame.t_ns - last_ns for frame in frames] == [1000 * MS + n * 40 * MS for n in range(8)]


def test_a_source_that_has_ended_begins_anew(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path, Source(clock, every(40, 3)), clock=clock, paced=True)
    rig.frames()
    rig.writer.finish()
    again = Rig(tmp_path, Source(clock, every(40, 3)), clock=clock, paced=True)
    assert [(frame.frame, frame.t_ns) for frame in again.frames()] == [(3 + n, (80 + 1000 + n * 40) * MS) for n in range(3)]
    again.writer.finish()
    Rig(tmp_path, Source(clock, []), clock=clock, paced=True).writer.finish()  # one that made no ring
    third = Rig(tmp_path, Source(clock, every(40, 3)), clock=clock, paced=True)
    assert [frame.frame for frame in third.frames()] == [6, 7, 8]


def test_a_clock_that_begins_anew_goes_on_after_a_break(tmp_path: Path, clock: Clock) -> None:
    """Such as a recording of two days in one, or a camera that was started again."""
    times = [*every(40, 4, 90_000), *every(40, 4, 10_000)]
    for live in (False, True):
        folder = tmp_path / str(live)
        frames = Rig(folder, Source(clock, times, live=live), clock=clock, paced=not live).frames()
        first_ns = frames[0].t_ns
        expected = [*every(40, 4), *every(40, 4, 120 + 1000)]
        assert [(frame.t_ns - first_ns) / MS for frame in frames] == expected
        begun = [frame.trace[0].received_ns for frame in frames]
        if live:
            assert begun == [START_NS + round(ms * MS) for ms in times], "its age is its own"
        before = frames
        after = Rig(folder, Source(clock, times, live=live), clock=clock, paced=not live).frames()
        assert after == [] if not live else after[0].t_ns > before[-1].t_ns


def test_a_camera_that_comes_back_a_little_early_does_not_move_time(tmp_path: Path, clock: Clock) -> None:
    """A network camera's clock is put anew onto ours: a picture may seem to be some milliseconds before the last."""
    Rig(tmp_path, Source(clock, [0, 40], live=True), clock=clock).frames()
    frames = Rig(tmp_path, Source(clock, [38, 78], live=True), clock=clock).frames()
    assert [frame.t_ns - START_NS for frame in frames] == [40 * MS + 1, 78 * MS]


def test_a_camera_after_a_file_and_a_file_after_a_camera(tmp_path: Path, clock: Clock) -> None:
    first = Rig(tmp_path, Source(clock, every(40, 3)), clock=clock, paced=True).frames()
    second = Rig(tmp_path, Source(clock, every(40, 3), live=True), clock=clock, identity=2).frames()
    third = Rig(tmp_path, Source(clock, every(40, 3)), clock=clock, paced=True, identity=3).frames()
    assert [frame.frame for frame in first + second + third] == list(range(9))
    assert [frame.t_ns for frame in second] == [START_NS + n * 40 * MS for n in range(3)]
    assert [frame.t_ns for frame in third] == [second[-1].t_ns + (1000 + n * 40) * MS for n in range(3)]


def test_a_worker_that_waits_for_its_camera_says_how_it_is(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = MemoryHub(links("live", ("capture", "detect")))
    config = Config().changed(runtime_folder=str(tmp_path), capture={"source": "0", "reopen_pause_s": 0.01, "reopen_pause_max_s": 0.01})
    monkeypatch.setattr("poselift.app.dataflow.health.PERIOD_NS", 0)  # at every turn, not every second
    monkeypatch.setattr("poselift.workers.capture.Loop.on_signals", lambda loop: None)
    camera, tries = Source(clock, [0, 40], live=True, lost="it is gone"), iter(range(5))

    def open_again(settings: CaptureConfig) -> Source:
        if next(tries) == 0:
            return camera
        hub.controls["capture"].append(Control("stop")) if next(tries) == 4 else None
        raise UserError("busy")

    monkeypatch.setattr("poselift.workers.capture.open_source", open_again)
    run(config, hub.bus("capture"))
    said = [health for health in hub.taken(WATCH, Health) if isinstance(health, Health)]
    assert {"it is gone", "busy; next try in 0.01 s"} <= {health.note for health in said}
    assert [type(message) for message in hub.taken("detect", Frame)] == [Frame, Frame, End]
    assert camera.closed == 1


def test_what_a_camera_drops_and_damages_is_accounted_for_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = MemoryHub(links("live", ("capture", "detect", "lift")))
    config = Config().changed(runtime_folder=str(tmp_path / "run"), capture={"source": "0"})
    (tmp_path / "machine").mkdir()
    machine = FakeMachine(tmp_path / "machine")
    kernel = FakeKernel(machine.plug(0, "HD Webcam"))
    kernel.damaged, wait = {5, 6}, kernel.wait

    def busy_at_ten(descriptor: int, timeout_s: float) -> bool:
        kernel.expose(4 + 3 if kernel.exposed == 10 else 0)
        hub.controls["capture"].extend([Control("stop")] if kernel.exposed == 30 else [])
        return wait(descriptor, timeout_s)

    monkeypatch.setattr(kernel, "wait", busy_at_ten)
    monkeypatch.setattr("poselift.workers.capture.Loop.on_signals", lambda loop: None)
    monkeypatch.setattr("poselift.workers.capture.open_source", lambda settings: V4l2Source(settings, kernel, machine.folders))
    run(config, hub.bus("capture"))
    (last,) = (health for health in hub.taken(WATCH, Health)[-1:] if isinstance(health, Health))
    assert last.drops == {CAMERA_DROPPED: 3, DAMAGED: 2}
    nobody = np.zeros((0, 21, 3), np.float32)
    for worker in ("detect", "lift"):
        loop = Loop(hub.bus(worker))
        for message in loop.inputs():
            if isinstance(message, Frame):
                loop.send(Pose2D(message.frame, message.t_ns, 640, 480, np.zeros(0), nobody), after=message)
            elif isinstance(message, Pose2D):
                flags = np.zeros(0, bool)
                pose = Pose3D(
                    message.frame,
                    message.t_ns,
                    640,
                    480,
                    flags,
                    nobody,
                    nobody,
                    nobody,
                    nobody[:, 0],
                    nobody[..., 0],
                    nobody[:, :4, 0],
                    flags,
                    flags,
                )
                loop.send(pose, after=message)
        loop.end()
    tally = Tally()
    for message in hub.taken(WATCH, Pose3D):
        tally.add(message)
    tally.finish()
    assert tally.captured == kernel.exposed - 1 == tally.lifted + sum(tally.dropped.values()), "all but the one that was seen first"
    assert (tally.dropped[CAMERA_DROPPED], tally.dropped[DAMAGED]) == (3, 2)


def test_an_order_to_stop_while_others_are_waited_for_leaves_one_picture(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = MemoryHub(links("live", ("capture", "detect")))
    bus = hub.bus("capture")
    hub.controls["capture"].append(Control("stop"))
    monkeypatch.setattr("poselift.workers.capture.Loop.on_signals", lambda loop: None)
    monkeypatch.setattr("poselift.workers.capture.Loop.wait_for_takers", lambda loop, timeout_s: loop.turn() or set())
    monkeypatch.setattr("poselift.workers.capture.open_source", lambda settings: Source(clock, every(40, 5), live=True))
    run(Config().changed(runtime_folder=str(tmp_path), capture={"source": "0"}), bus)
    assert [type(message) for message in hub.taken("detect", Frame)] == [Frame, End]
