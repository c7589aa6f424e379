"""Signals to a command, in whatever moment they come."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from poselift.app.cli.stopping import Stopped, stop_on_signals

HEARD = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM


@pytest.fixture
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in HEARD}
    stop_on_signals()
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_a_signal_stops_the_command_where_it_is() -> None:
    with pytest.raises(Stopped) as stopped:
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.code == 128 + signal.SIGTERM


@pytest.mark.usefixtures("signals")
def test_a_module_that_swallows_everything_while_it_is_imported_does_not_swallow_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "swallows_it.py").write_text(
        "import signal\nswallowed = False\ntry:\n    signal.raise_signal(signal.SIGTERM)\nexcept BaseException:\n    swallowed = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Stopped) as stopped:
        import swallows_it

        assert not swallows_it.swallowed
        signal.pause()
    assert stopped.value.number == signal.SIGTERM
