"""The demo clip, once or many times in a row."""

from __future__ import annotations

from pathlib import Path

import av

from poselift.models.store import path_of

FRAMES = 230
FPS = 30
SEEN = 0.95
"""At least this part of its pictures shows somebody who is found."""


def demo_clip(models_folder: Path | None) -> Path:
    """The pulled clip. Raises ModelError."""
    return path_of("demo_clip", models_folder)


def looped(clip: Path, times: int, folder: Path) -> Path:
    """A video of the clip's own packets, `times` in a row: nothing is encoded anew."""
    path = folder / f"clip-{times}.mp4"
    with av.open(str(path), "w") as out:
        with av.open(str(clip)) as source:
            stream = out.add_stream_from_template(source.streams.video[0])
        for turn in range(times):
            with av.open(str(clip)) as source:
                for packet in source.demux(video=0):
                    if packet.dts is None or packet.pts is None:  # the empty one at the end
                        continue
                    shift = round(turn * FRAMES / FPS / float(packet.time_base))
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    out.mux(packet)
    return path
