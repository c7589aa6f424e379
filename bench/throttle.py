"""A slow link on one machine: `python -m bench.throttle LISTEN_PORT PORT BITS_PER_S` passes TCP connections on, each way at that speed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

PIECE_BYTES = 512
"""What is passed on at once; then the link is busy for as long as that takes."""
QUEUE_BYTES = 16 << 10
"""What a router before the link holds."""


async def throttle(listen_port: int, port: int, bits_per_s: float) -> None:
    """Pass on until cancelled."""

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        free_s = loop.time()
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                free_s = max(free_s, loop.time()) + 8 * len(piece) / bits_per_s
                await asyncio.sleep(free_s - loop.time())
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port, limit=QUEUE_BYTES)
        await asyncio.gather(passed_on(reader, there_writer), passed_on(there_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", listen_port, limit=QUEUE_BYTES)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # it stands for a network, which takes no core from anybody
    asyncio.run(throttle(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
