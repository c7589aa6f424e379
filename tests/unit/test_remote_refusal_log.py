"""What is said of the refused: at once who it is, and never so much that it fills the log."""

from __future__ import annotations

from poselift.app.remote.refusal_log import MAX_LINES, PERIOD_S, RefusalLog


def test_ten_thousand_refusals_are_two_lines() -> None:
    refusals = RefusalLog()
    lines = [refusals.add("10.0.0.5", "unknown key", 100 + number / 1000) for number in range(10_000)]
    assert lines[0] == "refused 10.0.0.5: unknown key" and not any(lines[1:])
    assert refusals.due(100 + PERIOD_S - 1) == ""
    assert refusals.due(100 + PERIOD_S) == "refused further in the last minute: 10.0.0.5 9999 times"
    assert refusals.due(100 + 2 * PERIOD_S) == ""


def test_each_address_is_named_and_very_many_are_counted_together() -> None:
    refusals = RefusalLog()
    lines = [refusals.add(f"10.0.{number // 256}.{number % 256}", "no key", 5.0) for number in range(5000)]
    assert sum(map(bool, lines)) == MAX_LINES and len(set(filter(None, lines))) == MAX_LINES
    summary = refusals.due(5 + PERIOD_S)
    assert summary.count("10.0.") == MAX_LINES and summary.endswith(f"other addresses {5000 - 2 * MAX_LINES} times")


def test_two_reasons_of_one_address_are_both_said_and_very_many_are_not() -> None:
    refusals = RefusalLog()
    lines = [refusals.add("10.0.0.5", f"its key {number} is not admitted", 5.0) for number in range(1000)]
    assert all(lines[:MAX_LINES]) and not any(lines[MAX_LINES:])
    assert refusals.due(5 + PERIOD_S).endswith(f"10.0.0.5 {1000 - MAX_LINES} times")


def test_an_hour_of_refusals_is_at_most_two_lines_a_minute_of_an_address() -> None:
    refusals, lines = RefusalLog(), []
    for second in range(3600):
        lines += filter(None, (refusals.due(second), refusals.add("10.0.0.5", "no key", second)))
    assert 60 <= len(lines) <= 121
    said = sum(int(line.split()[-2]) if "further" in line else 1 for line in lines)
    assert 3600 - PERIOD_S <= said <= 3600  # nobody is forgotten but those of the last minute


def test_one_refusal_is_one_line_and_the_next_minute_says_so_again() -> None:
    refusals = RefusalLog()
    assert refusals.due(0.0) == ""
    assert refusals.add("a", "x", 10.0) and not refusals.due(10.0 + PERIOD_S)
    assert refusals.add("a", "x", 11.0 + PERIOD_S)
