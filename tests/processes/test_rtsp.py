"""The RTSP source against a real server on a real socket."""

from __future__ import annotations

import itertools
import logging
import socket
import time
import traceback
from urllib.parse import quote

import av
import numpy as np
import pytest
from av.packet import Packet
from rtsp_server import LOOP, RtspServer

from poselift.app.config import CaptureConfig
from poselift.app.dataflow.ledger import DAMAGED
from poselift.app.redact import printable
from poselift.common.errors import UserError
from poselift.workers.sources import CapturedPicture, Lost, SourceLost, open_source
from poselift.workers.sources.pattern import read_number
from poselift.workers.sources.rtsp import RtspSource

SECRET = "p@ss/w:rd?#%"
USER = "admin"


def opened(port: int, path: str = "live", credentials: str = "", timeout_s: float = 5.0) -> RtspSource:
    address = f"rtsp://{credentials}127.0.0.1:{port}/{path}"
    return RtspSource(CaptureConfig(source=address), open_timeout_s=timeout_s, read_timeout_s=timeout_s)


def refusal(port: int, **options) -> str:
    with pytest.raises(UserError) as error:
        opened(port, **options)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith("rtsp://")
    assert printable(text) == text, "the command line would take part of it for a password"
    return text


def test_pictures_with_the_cameras_own_times():
    rate = 50
    with RtspServer(rate=rate) as server:
        source = open_source(CaptureConfig(source=f"rtsp://127.0.0.1:{server.port}/live"))
        assert (source.live, source.fps, source.frames, source.name) == (True, rate, None, f"rtsp://127.0.0.1:{server.port}/live")
        numbers, times, arrivals = [], [], []
        for picture in itertools.islice(source, 2 * LOOP):
            assert picture.pixels.shape == (240, 320, 3)
            assert picture.pixels.flags.c_contiguous
            numbers.append(read_number(picture.pixels))
            times.append(picture.t_ns)
            arrivals.append(time.monotonic_ns())
        source.close()
        assert numbers == [number % LOOP for number in range(2 * LOOP)]  # nothing lost, also not what came while opening
        assert all(a < b for a, b in zip(times, times[1:]))
        assert all(t_ns <= arrival for t_ns, arrival in zip(times, arrivals))
        # a time is not before its picture was due: both clocks are this machine's, and a server that is busy sends some later
        begin_s = min(sent_s - number / rate for number, sent_s in enumerate(server.sent_s))
        assert all(t_ns / 1e9 > begin_s + number / rate - 0.001 for number, t_ns in enumerate(times))
        settled = np.diff(times[LOOP:])
        assert np.median(abs(settled - 10**9 / rate)) < 100_000


def test_a_camera_that_hangs_up_is_lost_and_found_again():
    with RtspServer() as server:
        source = opened(server.port)
        pictures = iter(source)
        next(pictures)
        server.hang_up()
        with pytest.raises(
            SourceLost, match=r"^rtsp://127\.0\.0\.1:\d+/live: the (camera ended the stream|connection to the camera broke)"
        ):
            list(pictures)
        source.close()
        again = opened(server.port)
        assert read_number(next(iter(again)).pixels) == 0
        again.close()


def test_a_camera_that_falls_silent_is_lost():
    with RtspServer() as server:
        source = opened(server.port, timeout_s=0.5)
        server.fall_silent()
        with pytest.raises(SourceLost, match=r"has sent nothing for 0\.5 s"):
            list(source)
        source.close()


def test_a_camera_that_never_answers():
    with RtspServer(answers=False) as server:
        assert "no answer within 0.3 s" in refusal(server.port, timeout_s=0.3)


def test_a_port_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "nobody listens there (connection refused); check host and port" in refusal(port)


def test_a_stream_that_the_camera_has_not():
    with RtspServer() as server:
        assert "no such stream (not found); check the path" in refusal(server.port, path="other")


def test_user_and_password():
    with RtspServer(USER, SECRET) as server:
        source = opened(server.port, credentials=f"{USER}:{quote(SECRET, safe='')}@")
        assert source.name == f"rtsp://***@127.0.0.1:{server.port}/live"
        assert read_number(next(iter(source)).pixels) == 0
        source.close()


def test_a_wrong_password():
    with RtspServer(USER, SECRET) as server:
        for credentials in ("", f"{USER}:wrong@"):
            assert "user or password refused" in refusal(server.port, credentials=credentials)


@pytest.mark.parametrize("refusal", ["461 Unsupported Transport", "400 Bad Request"])
def test_a_camera_that_offers_udp_only(refusal):
    with RtspServer(refuses_tcp=refusal) as server:
        source = opened(server.port)
        assert (
            source.note
            == f"rtsp://127.0.0.1:{server.port}/live: this camera offers UDP only; what is damaged by packets lost on the way is left out"
        )
        assert [read_number(it.pixels) for it in itertools.islice(source, 60)] == [number % LOOP for number in range(60)]
        source.close()


def test_over_udp_what_was_lost_on_the_way_smears_no_picture():
    with RtspServer(refuses_tcp="461 Unsupported Transport", loses=lambda number: number > 60 and number % 17 == 5) as server:
        source = opened(server.port)
        given = list(itertools.islice(source, 150))
        source.close()
    numbers = [read_number(it.pixels) for it in given if isinstance(it, CapturedPicture)]  # raises ValueError where one is smeared
    steps = [(after - before) % LOOP for before, after in zip(numbers, numbers[1:])]
    assert set(steps[:25]) == {1} and max(steps) > 1, "the next whole picture that comes, of which there is one in ten, mends it"
    damaged = [it for it in given if isinstance(it, Lost)]
    assert len(damaged) > 10 and set(damaged) == {Lost(1, DAMAGED)}


def test_without_loss_tcp_is_taken():
    with RtspServer() as server:
        source = opened(server.port)
        assert source.note == ""
        source.close()


def test_what_does_not_decode_is_counted(monkeypatch):
    with RtspServer() as server:
        source = opened(server.port)
        pictures, decode = iter(source), Packet.decode
        next(pictures)
        broken = iter([True, True, False])

        class Broken:
            def __init__(self, packet):
                self.packet, self.size = packet, packet.size

            def decode(self):
                if next(broken, False):
                    raise av.InvalidDataError(1, "")
                return decode(self.packet)

        packets = source._packets
        source._packets = (Broken(packet) for packet in packets)
        assert list(itertools.islice(pictures, 2)) == [Lost(1, DAMAGED)] * 2
        assert isinstance(next(pictures), CapturedPicture)
        source.close()


@pytest.mark.parametrize("scheme", ["RTSP", "Rtsp"])
def test_the_scheme_in_capitals(scheme):
    with RtspServer(USER, SECRET) as server:
        address = f"{scheme}://{USER}:{quote(SECRET, safe='')}@127.0.0.1:{server.port}/live"
        source = open_source(CaptureConfig(source=address))
        assert read_number(next(iter(source)).pixels) == 0
        source.close()


@pytest.mark.parametrize("password", ["pa/ss", "p#ss", "p?ss", "/", "a/b@c", "12/34", "#", "a@b/c"])
def test_special_characters_that_are_not_coded(password):
    """Where the password ends cannot be known: no part of it is shown."""
    with RtspServer(USER, password) as server:
        text = refusal(server.port, credentials=f"{USER}:{password}@", timeout_s=1)
        assert "write special characters in the user and the password as %XX: / as %2F, # as %23" in text
        assert text.startswith(f"rtsp://***@127.0.0.1:{server.port}/live: ")
        assert password not in text.partition(": ")[2] or len(password) == 1
        assert server.requests == []


def test_an_at_sign_does_no_harm():
    with RtspServer(USER, "p@ss@") as server:
        source = opened(server.port, credentials=f"{USER}:p@ss@@")
        assert source.name == f"rtsp://***@127.0.0.1:{server.port}/live"
        source.close()


@pytest.mark.parametrize("password", ["secret", SECRET, "pass word"])
@pytest.mark.parametrize("fault", ["refused", "unauthorized", "not found", "no answer", "lost", "silent", "no host"])
def test_no_text_ever_holds_the_password(fault, password, caplog, capfd):
    """Messages, chained exceptions, logs and what libav prints; as it was written, and decoded."""
    coded = quote(password, safe="")
    caplog.set_level(logging.DEBUG)
    answers = fault != "no answer"
    with RtspServer(USER, "another" if fault == "unauthorized" else password, answers) as server:
        port = 1 if fault == "refused" else server.port
        host = "no-such-host.invalid" if fault == "no host" else "127.0.0.1"
        path = "other" if fault == "not found" else "live"
        settings = CaptureConfig(source=f"rtsp://{USER}:{coded}@{host}:{port}/{path}")
        with pytest.raises((UserError, SourceLost)) as error:
            source = RtspSource(settings, open_timeout_s=0.3 if fault == "no answer" else 5.0, read_timeout_s=0.5)
            {"lost": server.hang_up, "silent": server.fall_silent}[fault]()
            list(source)
    chain = "".join(traceback.format_exception(type(error.value), error.value, error.value.__traceback__))
    captured = capfd.readouterr()
    for text in (str(error.value), repr(error.value), chain, caplog.text, captured.out, captured.err):
        for secret in (password, coded, f"{USER}:"):
            assert secret not in text
