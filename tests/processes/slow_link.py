"""A link between two network namespaces, with delay and loss: `python slow_link.py HERE THERE DELAY_MS LOSS`. Root alone may make it.

Two TUN devices of these names, which this process joins: each packet waits for the delay, and some are lost. (The kernel's own netem does
the same where it is built in; often it is not.)
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque
from contextlib import suppress

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000
"""linux/if_tun.h"""
MTU = 1500


def open_device(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def join(ends: tuple[int, int], delay_s: float, loss: float) -> None:
    """Pass packets on until killed. An end that is down takes nothing and gives nothing."""
    rng = random.Random(1)
    under_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for end in select.select(ends, [], [], wait_s)[0]:
            with suppress(OSError):
                packet = os.read(end, 2 * MTU)
                if rng.random() >= loss:
                    under_way.append((time.monotonic() + delay_s, ends[1 - ends.index(end)], packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, end, packet = under_way.popleft()
            with suppress(OSError):
                os.write(end, packet)


if __name__ == "__main__":
    both = open_device(sys.argv[1]), open_device(sys.argv[2])
    print("ready", flush=True)
    join(both, float(sys.argv[3]) / 1000, float(sys.argv[4]))
