"""One, two or four people who move on the spot, side by side in a picture: those of the demo clip, cut out and mirrored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from poselift.common.arrays import Pixels

WIDTH_PX, HEIGHT_PX = 1280, 720
RATE_HZ = 30
MOST = 4
TILE_PX = WIDTH_PX // MOST
GREY = 128


class CutOut(NamedTuple):
    """Pictures of the clip in which a person moves within these columns, alone in them."""

    pictures: range
    columns: slice


MAN, WOMAN = CutOut(range(41), slice(400, 842)), CutOut(range(68, 93), slice(1000, 1442))
"""The man raises his arms and lowers them again; the woman walks. Their columns have the form of a quarter of a picture."""


def tiles(clip: Path) -> list[list[Pixels]]:
    """Of each of four people the pictures [720, 320, 3] of a movement there and back, to be shown in a ring."""
    people: list[list[Pixels]] = [[], []]
    with av.open(str(clip)) as container:
        for number, frame in enumerate(islice(container.decode(video=0), WOMAN.pictures.stop)):
            for cut_out, pictures in zip((MAN, WOMAN), people):
                if number in cut_out.pictures:
                    part = np.ascontiguousarray(frame.to_ndarray(format="bgr24")[:, cut_out.columns])
                    pictures.append(cv2.resize(part, (TILE_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA))
    people += [[np.ascontiguousarray(picture[:, ::-1]) for picture in pictures] for pictures in people]
    return [pictures + pictures[-2:0:-1] for pictures in people]


def pictures(tiles: Sequence[Sequence[Pixels]], people: int) -> Iterable[Pixels]:
    """The first so many of the people, again and again; the rest of the picture is grey. It is the same array every time."""
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), GREY, np.uint8)
    for number in count():
        for place, of in enumerate(tiles[:people]):
            picture[:, place * TILE_PX : (place + 1) * TILE_PX] = of[number % len(of)]
        yield picture


def video(path: Path, tiles: Sequence[Sequence[Pixels]], people: int, frames: int) -> Path:
    """The same as a file of so many pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ, options={"preset": "superfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for picture in islice(pictures(tiles, people), frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path
