"""The board's clock as a viewer sees it is never more wrong than it says, whatever the network does."""

from __future__ import annotations

import random

import pytest

from poselift.app.remote.clock import DRIFT, RemoteClock

S = 10**9


def test_nothing_is_known_before_the_first_answer() -> None:
    assert RemoteClock().offset(5) is None


def test_an_even_way_gives_the_offset_exactly() -> None:
    clock = RemoteClock()
    clock.add(sent_ns=1000, board_ns=51_100, received_ns=1200)
    offset = clock.offset(1200)
    assert offset is not None and offset.offset_ns == 50_000 and offset.error_ns == 101


def test_an_answer_from_before_its_question_is_not_believed() -> None:
    clock = RemoteClock()
    clock.add(1000, 5, 900)
    assert clock.offset(1000) is None


@pytest.mark.parametrize("drift", [0.0, DRIFT, -DRIFT])
@pytest.mark.parametrize("truth_ns", [0, -7 * 86400 * S, 30 * 86400 * S])
def test_the_error_is_within_its_bound(truth_ns: int, drift: float) -> None:
    """Ways of different lengths there and back, sometimes very slow ones, and clocks that drift apart."""
    rng = random.Random(3)
    clock, now_ns = RemoteClock(), 10**15
    begin_ns, errors_ns = now_ns, []

    def board_ns(here_ns: int) -> int:
        return here_ns + truth_ns + round(drift * (here_ns - begin_ns))

    for _ in range(600):
        sent_ns = now_ns
        there_ns, back_ns = (round(rng.expovariate(1 / 2e7)) + rng.choice([10**6, 10**6, 3 * 10**8]) for _ in range(2))
        clock.add(sent_ns, board_ns(sent_ns + there_ns), sent_ns + there_ns + back_ns)
        now_ns = sent_ns + there_ns + back_ns + S // 2
        offset = clock.offset(now_ns)
        assert offset is not None
        error_ns = offset.offset_ns - (board_ns(now_ns) - now_ns)
        assert abs(error_ns) <= offset.error_ns
        errors_ns.append(offset.error_ns)
    assert max(errors_ns[20:]) < 0.04 * S, "the bound says something"


def test_the_shortest_round_trip_counts_until_it_is_too_old() -> None:
    clock = RemoteClock()
    clock.add(0, 100 + S, 200)
    clock.add(10 * S, 11 * S + 8_000_000, 10 * S + 10_000_000)
    assert clock.offset(11 * S).offset_ns == S
    clock.add(60 * S, 61 * S + 8_000_000, 60 * S + 10_000_000)
    assert clock.offset(61 * S).offset_ns == S + 3_000_000
