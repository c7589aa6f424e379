"""The metrics say what the workers said: kinds, units, restarts, and the same account of frames as the tally."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from test_tally import MS, a_pose

from poselift.app.config import Config
from poselift.app.dataflow.ledger import NEWER_FRAME, NOT_READY
from poselift.app.dataflow.memory_bus import MemoryHub
from poselift.app.dataflow.messages import Health, Message, Pose2D, Stamp
from poselift.app.dataflow.streams import links
from poselift.app.dataflow.tally import Tally
from poselift.app.metrics.prometheus import Metrics
from poselift.app.metrics.server import answering
from poselift.common.errors import UserError
from poselift.workers.metrics import run

NAN = float("nan")


def values(text: str) -> dict[tuple[str, ...], float]:
    """Sample -> value; a sample is its name and the values of its labels, in their names' order."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def shown(*messages: Message) -> dict[tuple[str, ...], float]:
    metrics = Metrics(now_s=lambda: 1234.5)
    for message in messages:
        metrics.add(message)
    return values(generate_latest(metrics.registry).decode())


def a_health(worker: str, incarnation: int = 1, messages: int = 0, drops: Any = None, **more: Any) -> Health:
    return Health(worker, 1, incarnation, 1, "running", "", messages, 30.0, 1.0, 2.0, drops or {}, 5_000_000, **more)


def test_kinds_units_and_names_are_those_of_prometheus() -> None:
    metrics = Metrics()
    kinds = {family.name: family.type for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())}
    assert kinds == {
        "poselift_outputs": "counter",
        "poselift_drops": "counter",
        "poselift_restarts": "counter",
        "poselift_frames_lifted": "counter",
        "poselift_frames_dropped": "counter",
        "poselift_age_seconds": "histogram",
        "poselift_work_seconds": "histogram",
        "poselift_network_seconds": "gauge",
        "poselift_memory_bytes": "gauge",
        "poselift_last_report_timestamp_seconds": "gauge",
        "poselift_recording": "gauge",
        "poselift_people": "gauge",
        "poselift_people_left_out": "gauge",
        "poselift_ids": "counter",
        "poselift_viewers": "gauge",
    }


def test_how_a_worker_is() -> None:
    said = shown(a_health("detect", messages=7, drops={"newer_frame": 2}, network_p50_ms=20.0, network_p95_ms=31.0, device="npu"))
    assert said[("poselift_outputs_total", "detect")] == 7
    assert said[("poselift_drops_total", "newer_frame", "detect")] == 2
    assert said[("poselift_restarts_total", "detect")] == 0
    assert said[("poselift_memory_bytes", "detect")] == 5_000_000
    assert said[("poselift_last_report_timestamp_seconds", "detect")] == 1234.5
    assert said[("poselift_network_seconds", "npu", "0.5", "detect")] == 0.02
    assert said[("poselift_network_seconds", "npu", "0.95", "detect")] == 0.031


def test_people_now_and_ids_given() -> None:
    def a_seen(frame: int, *persons: int, left_out: int = 0) -> Pose2D:
        trace = (Stamp("capture", 0, MS), Stamp("detect", 3 * MS, 10 * MS))
        return Pose2D(frame, frame, 64, 48, np.array(persons), np.zeros((len(persons), 21, 3)), None, {}, 1, trace, left_out)

    seen = [a_seen(0), a_seen(1, 5), a_seen(2, 5, 6), a_seen(3, 6, left_out=2), a_seen(5, 9, 6)]
    for count, (people, ids, left_out) in enumerate([(0, 0, 0), (1, 1, 0), (2, 2, 0), (1, 2, 2), (2, 5, 0)], start=1):
        said = shown(*seen[:count])
        found = [said[(f"poselift_{name}",)] for name in ("people", "ids_total", "people_left_out")]
        assert found == [people, ids, left_out], count


def test_a_worker_whose_networks_have_not_run_has_no_time_of_theirs() -> None:
    assert not [sample for sample in shown(a_health("capture")) if sample[0] == "poselift_network_seconds"]


def test_counters_go_on_when_a_worker_comes_back() -> None:
    said = shown(
        a_health("lift", 1, 5, {"queue_full": 2}),
        a_health("lift", 1, 9, {"queue_full": 2}),
        a_health("lift", 2, 4, {"queue_full": 1, "worker_died": 3}),
        a_health("lift", 2, 6, {"queue_full": 1, "worker_died": 3}),
        a_health("detect", 2, 6),
    )
    assert said[("poselift_outputs_total", "lift")] == 15
    assert said[("poselift_drops_total", "queue_full", "lift")] == 3
    assert said[("poselift_drops_total", "worker_died", "lift")] == 3
    assert said[("poselift_restarts_total", "lift")] == 1
    assert said[("poselift_restarts_total", "detect")] == 0


def test_whether_something_is_recorded() -> None:
    assert shown(a_health("record", recording="session.mcap"))[("poselift_recording",)] == 1
    assert shown(a_health("record", recording="session.mcap"), a_health("record"))[("poselift_recording",)] == 0
    assert shown(a_health("record", recording="session.mcap"), a_health("lift"))[("poselift_recording",)] == 1


def test_how_many_look_on_from_elsewhere() -> None:
    assert shown(a_health("serve", viewers=3), a_health("lift"))[("poselift_viewers",)] == 3


def test_ages_and_work_by_stage() -> None:
    trace = (Stamp("capture", 0, 1 * MS), Stamp("detect", 3 * MS, 12 * MS))
    seen = Pose2D(0, 0, 64, 48, np.zeros(0), np.zeros((0, 21, 3)), None, {}, 1, trace)
    said = shown(seen, a_pose(0), a_pose(1))
    assert said[("poselift_age_seconds_count", "capture")] == said[("poselift_age_seconds_count", "detect")] == 1
    assert said[("poselift_age_seconds_sum", "detect")] == pytest.approx(0.012)
    assert said[("poselift_work_seconds_sum", "detect")] == pytest.approx(0.009)
    assert said[("poselift_age_seconds_count", "lift")] == 2
    assert said[("poselift_age_seconds_sum", "lift")] == pytest.approx(0.026)
    assert said[("poselift_age_seconds_bucket", "0.01", "lift")] == 0
    assert said[("poselift_age_seconds_bucket", "0.015", "lift")] == 2
    assert said[("poselift_work_seconds_bucket", "0.002", "lift")] == 2


def test_the_account_of_frames_is_the_tallys() -> None:
    poses = [a_pose(3), a_pose(6, skipped={NEWER_FRAME: 2}), a_pose(8), replace(a_pose(11), incarnation=2), a_pose(12)]
    tally = Tally()
    for pose in poses:
        tally.add(pose)
    said = shown(*poses)
    dropped = {sample[1]: value for sample, value in said.items() if sample[0] == "poselift_frames_dropped_total"}
    assert said[("poselift_frames_lifted_total",)] == tally.lifted == 5
    assert {**dropped, NOT_READY: 3} == tally.dropped, "what was before the first message is not counted"


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("x", "y", registry=registry).set(3)
    return registry


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as end:
        return int(end.getsockname()[1])


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    yield ["127.0.0.1", "127.0.0.2", *(["[::1]"] if socket.has_ipv6 and _has_ipv6() else [])]


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_it_is_answered_at_the_address_that_is_set(registry: CollectorRegistry, port: int, hosts: list[str]) -> None:
    for host in hosts:
        with answering(f"{host}:{port}", registry):
            for _ in range(3):
                with urllib.request.urlopen(f"http://{host}:{port}/metrics") as answer:
                    assert values(answer.read().decode()) == {("x",): 3}
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(f"http://{host}:{port}/metrics")


def test_a_port_in_use_is_said(registry: CollectorRegistry, port: int) -> None:
    address = f"127.0.0.1:{port}"
    refused = pytest.raises(UserError, match=rf"{address}: metrics cannot be given there .*in use")
    with answering(address, registry), refused, answering(address, registry):
        pass


def test_who_asks_nothing_or_nonsense_is_let_go_without_a_word(
    registry: CollectorRegistry, port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("poselift.app.metrics.server.PATIENCE_S", 0.05)
    with answering(f"127.0.0.1:{port}", registry):
        for said in (b"", b"GET /metrics", b"\x00" * 100 + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as silent:
                silent.sendall(said)
                while silent.recv(4096):
                    pass
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.status == 200
    assert capfd.readouterr() == ("", "")


def test_without_the_package_it_is_said_what_to_type(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("poselift.app.metrics.prometheus", "poselift.app.metrics.server"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    config = Config().changed(metrics={"address": f"127.0.0.1:{port}"})
    bus = MemoryHub(links("live", config.running)).bus("metrics")
    with pytest.raises(UserError, match=r"prometheus_client is not here; type: pip install 'poselift\[metrics\]'"):
        run(config, bus)


@pytest.mark.parametrize("address", ["127.0.0.1:9570", "127.1.2.3:1", "[::1]:65535"])
def test_addresses_of_this_machine(address: str) -> None:
    config = Config().changed(metrics={"address": address})
    assert "metrics" in config.running and "metrics" not in config.changed(mode="file").running


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:9570", "[::]:9570", "192.168.1.2:9570", "::1:9570", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "board:1", ":1", ""],
)
def test_addresses_that_others_could_reach_or_nobody(address: str) -> None:
    with pytest.raises(UserError, match=r"metrics.address: .* is not allowed: give an address of this machine's own") as refusal:
        Config().changed(metrics={"address": address})
    assert "\n" not in str(refusal.value)
