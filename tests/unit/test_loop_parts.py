"""A worker's jobs one by one: what came in, what goes out, what it hears and reports; no bus, no socket, no clock."""

from __future__ import annotations

import numpy as np
import pytest

from poselift.app.dataflow.health import PERIOD_NS, Meter
from poselift.app.dataflow.ledger import DAMAGED, NEWER_FRAME, QUEUE_FULL
from poselift.app.dataflow.messages import Answer, Control, End, Frame, Pose2D, Stamp
from poselift.app.dataflow.streams import WORKERS, links
from poselift.app.processes.control import LAST_WORK_S, ControlPlane
from poselift.app.processes.intake import Intake
from poselift.app.processes.notify import ServiceManager
from poselift.app.processes.outgoing import Outgoing

LINKS = links("live", WORKERS)


def a_frame(number: int) -> Frame:
    return Frame(number, 1000 + number, 64, 48, 30.0, 0, 0, 0, "ring", b"", 1, (Stamp("capture", 5, 6),))


def a_pose(number: int, **skipped: int) -> Pose2D:
    return Pose2D(number, 1000 + number, 64, 48, np.zeros(0), np.zeros((0, 21, 3)), None, skipped, 1, (Stamp("capture", 5, 6),))


@pytest.mark.parametrize(("taker", "reason"), [("detect", NEWER_FRAME), ("record", QUEUE_FULL)])
def test_what_is_lost_on_the_way_is_lost_by_how_the_stream_is_taken(taker: str, reason: str) -> None:
    intake = Intake(taker, LINKS)
    assert [intake.take(message) for message in (a_frame(0), a_frame(3), Control("x"), a_frame(4))] == [{}, {reason: 2}, {}, {}]


def test_each_stream_has_numbers_of_its_own() -> None:
    intake = Intake("record", LINKS)
    assert [intake.take(message) for message in (a_frame(0), a_pose(0), a_frame(1), a_pose(2))] == [{}, {}, {}, {QUEUE_FULL: 1}]


def test_inputs_are_open_until_their_end_and_who_says_none_broke_off() -> None:
    intake = Intake("record", LINKS)
    assert intake.open == {"capture", "detect", "lift"}
    intake.take(End("capture", 1, ""))
    intake.take(End("detect", 1, ""))
    assert intake.open == {"lift"} and intake.broken == "lift"
    intake.take(End("lift", 1, "", broken="detect"))
    assert not intake.open and intake.broken == "detect", "who broke off first"


def test_an_answer_is_stamped_behind_what_it_answers() -> None:
    outgoing = Outgoing("detect", 77)
    sent = outgoing.stamped(a_pose(3), a_frame(3), 8, 9)
    assert sent.trace == (Stamp("capture", 5, 6), Stamp("detect", 8, 9)) and sent.incarnation == 77
    first = Outgoing("capture", 78).stamped(a_frame(3), None, 8, 9)
    assert first.trace == (Stamp("capture", 5, 9),), "its picture came before"


def test_what_got_no_answer_is_told_once_with_what_those_before_told() -> None:
    outgoing = Outgoing("lift", 1)
    outgoing.pass_on(a_pose(5, damaged=1), {QUEUE_FULL: 2})
    outgoing.skip({DAMAGED: 3})
    assert outgoing.stamped(a_pose(5), a_pose(5), 0, 0).skipped == {DAMAGED: 4, QUEUE_FULL: 2}
    assert outgoing.stamped(a_pose(6), a_pose(6), 0, 0).skipped == {}
    outgoing.pass_on(End("detect", 9, "", {NEWER_FRAME: 2}), {})
    assert outgoing.end("") == End("lift", 9, "", {NEWER_FRAME: 2})


def test_the_end_has_all_frames_and_each_warning_once() -> None:
    outgoing = Outgoing("record", 1)
    outgoing.pass_on(a_frame(4), {})
    assert outgoing.end("detect") == End("record", 5, "", broken="detect")
    for sender in ("capture", "detect"):
        outgoing.pass_on(End(sender, 9, "cut short"), {})
    outgoing.notes.append("so it is")
    assert outgoing.end("") == End("record", 9, "cut short; so it is")


class Told(ServiceManager):
    """A service manager that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.words: list[str] = []

    def tell(self, **lines: str) -> None:
        self.words += [f"{name}={value.split(',')[0]}" for name, value in lines.items()]


def a_control(*commands: str) -> tuple[ControlPlane, Told]:
    told = Told()
    return ControlPlane("lift", Meter("lift", 1, 0), told, commands), told


def test_who_may_order_what() -> None:
    control, _ = a_control("dance")
    assert control.hear("status") == Answer(True, "starting")
    assert control.hear("sing") == Answer(False, "lift knows no order 'sing'; it knows: stop, status, dance")
    assert control.hear("dance") is None, "the worker's to answer"
    assert not control.stopping
    assert control.hear("stop") == Answer(True, "stopping")
    assert control.stopping and not control.terminated
    control.ending(1)
    assert control.hear("dance") == Answer(False, "lift is ending")
    assert control.hear("status") == Answer(True, "ending")


def test_after_sigterm_it_works_on_for_a_moment_which_a_second_one_does_not_prolong() -> None:
    control, _ = a_control()
    assert control.leave_by_s > 10**9
    control.terminate(5.0)
    control.terminate(6.0)
    assert control.stopping and control.terminated and control.leave_by_s == 5.0 + LAST_WORK_S


def test_reports_from_the_start_to_the_end() -> None:
    control, told = a_control()
    assert control.loading(1, may_take_s=1.5).state == "starting"
    assert control.due(2), "at the first turn"
    states = [control.report(now_ns).state for now_ns in range(0, 4 * PERIOD_NS, PERIOD_NS // 10) if control.due(now_ns)]
    assert states == ["waiting"] * 4, "nothing comes in"
    assert control.ending(4 * PERIOD_NS).state == control.report(5 * PERIOD_NS).state == "ending"
    words = [word for word in told.words if not word.startswith("STATUS=waiting")]
    assert words == ["EXTEND_TIMEOUT_USEC=1500000", "STATUS=starting", "READY=1", "STOPPING=1", *["STATUS=ending"] * 2]
