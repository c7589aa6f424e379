"""A network camera for tests: RTSP 1.0 (RFC 2326) on a real socket, H.264 over RTP (RFC 6184).

Its RTP goes interleaved in the TCP connection, or by UDP, which it can be told to offer alone.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import av

from poselift.app.config import CaptureConfig
from poselift.workers.sources.pattern import PatternSource

CLOCK_HZ = 90_000
LOOP = 50
"""Pictures, numbered in their pixels, that are sent again and again."""
_PAYLOAD = 1400


class RtspServer:
    """Listens on a port of this machine (0: a free one), serves `/live` to one client at a time. A context manager.

    With `refuses_tcp`, a status line, it sends by UDP alone; `loses` says of which RTP packets, by their number, it sends none.
    """

    def __init__(
        self,
        user: str = "",
        password: str = "",
        answers: bool = True,
        rate: int = 50,
        port: int = 0,
        refuses_tcp: str = "",
        loses: Callable[[int], bool] = lambda number: False,
    ) -> None:
        self._refuses_tcp, self._loses = refuses_tcp, loses
        self._client_port = 0
        self._credentials = f"{user}:{password}" if user else ""
        self._answers, self._rate = answers, rate
        self._pictures = _coded(rate)
        self._silent, self._over = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve)
        self.requests: list[str] = []
        self.sent_s: list[float] = []
        """When each picture was sent, on the monotonic clock."""

    def __enter__(self) -> RtspServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._silent.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        self._thread.join()
        self._listener.close()
        self._datagrams.close()

    def fall_silent(self) -> None:
        """Send nothing more, but keep the connection."""
        self._silent.set()

    def hang_up(self) -> None:
        """Close the connection, as a camera that is switched off."""
        client = self._client
        if client:
            with contextlib.suppress(OSError):  # the client left first
                client.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                self._client, _ = self._listener.accept()
            except OSError:  # the listener was shut down
                return
            with self._client:
                try:
                    self._talk(self._client)
                except (OSError, EOFError):  # the client left
                    continue
                finally:
                    client, self._client = self._client, None
                    client.close()

    def _talk(self, client: socket.socket) -> None:
        reader = client.makefile("rb")
        while True:
            method, url, headers = _request(reader)
            self.requests.append(method)
            if not self._answers:
                self._over.wait()
                return
            status, extra, body = self._answer(method, url, headers)
            text = f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', 0)}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
            client.sendall(text.encode())
            if method == "PLAY" and status.startswith("200"):
                self._play(client)

    def _answer(self, method: str, url: str, headers: dict[str, str]) -> tuple[str, str, str]:
        expected = "Basic " + base64.b64encode(self._credentials.encode()).decode()
        if self._credentials and method != "OPTIONS" and headers.get("authorization") != expected:
            return "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n', ""
        if "/live" not in url:
            return "404 Not Found", "", ""
        if method == "DESCRIBE":
            lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "t=0 0", "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000"]
            lines += ["a=fmtp:96 packetization-mode=1", "a=control:video", ""]
            return "200 OK", "Content-Type: application/sdp\r\n", "\r\n".join(lines)
        if method == "SETUP" and self._refuses_tcp:
            ports = re.search(r"client_port=(\d+)", headers["transport"])
            if not ports:
                return self._refuses_tcp, "", ""
            self._client_port = int(ports[1])
            mine = self._datagrams.getsockname()[1]
            return "200 OK", f"Session: 1\r\nTransport: RTP/AVP/UDP;unicast;{ports[0]}-{ports[1]};server_port={mine}-{mine + 1}\r\n", ""
        if method == "SETUP":
            return "200 OK", "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", ""
        return "200 OK", "Session: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""

    def _play(self, client: socket.socket) -> None:
        sequence, begin_s = 0, time.monotonic()
        for number in itertools.count():
            nals = self._pictures[number % LOOP]
            for place, nal in enumerate(nals):
                for payload, last in _payloads(nal):
                    marker = 0x80 if last and place == len(nals) - 1 else 0
                    header = struct.pack(">BBHII", 0x80, marker | 96, sequence & 0xFFFF, number * CLOCK_HZ // self._rate, 1)
                    if not self._loses(sequence):
                        self._send(client, header + payload)
                    sequence += 1
            self.sent_s.append(time.monotonic())
            if self._silent.wait(max(0.0, begin_s + (number + 1) / self._rate - time.monotonic())):
                self._over.wait()
                return

    def _send(self, client: socket.socket, packet: bytes) -> None:
        if self._client_port:
            self._datagrams.sendto(packet, ("127.0.0.1", self._client_port))
        else:
            client.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


def _request(reader: socket.SocketIO) -> tuple[str, str, dict[str, str]]:
    method, url, _ = _line(reader).split(" ")
    headers = {}
    while line := _line(reader):
        key, _, value = line.partition(":")
        headers[key.lower()] = value.strip()
    return method, url, headers


def _line(reader: socket.SocketIO) -> str:
    line = reader.readline()
    if not line:
        raise EOFError
    return line.decode().strip()


def _payloads(nal: bytes) -> Iterator[tuple[bytes, bool]]:
    """RTP payloads of one NAL unit, and whether it is its last: whole, or in fragments (FU-A, RFC 6184 section 5.8)."""
    if len(nal) <= _PAYLOAD:
        yield nal, True
        return
    pieces = [nal[begin : begin + _PAYLOAD] for begin in range(1, len(nal), _PAYLOAD)]
    for place, piece in enumerate(pieces):
        first, last = place == 0, place == len(pieces) - 1
        yield bytes([nal[0] & 0xE0 | 28, first << 7 | last << 6 | nal[0] & 0x1F]) + piece, last


def _coded(rate: int) -> list[list[bytes]]:
    """The NAL units of every picture of the loop; a whole picture every ten."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, rate), Fraction(rate)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "10", "threads": "1"}
    pictures = []
    for number, picture in enumerate(PatternSource(CaptureConfig(source=f"test:320x240@{rate},frames={LOOP}"))):
        frame = av.VideoFrame.from_ndarray(picture.pixels, format="bgr24")
        frame.pts = number
        for packet in encoder.encode(frame):
            pictures.append([nal for nal in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if nal])
    assert len(pictures) == LOOP
    return pictures
