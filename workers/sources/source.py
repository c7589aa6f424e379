"""What every source gives, and how it says that it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, NamedTuple, Optional, Protocol, Union

from poselift.common.arrays import Pixels
from poselift.common.errors import UserError

LOST_AFTER_S = 3.0
"""A camera at this machine that gives no picture for so long is lost; its first may take twice as long."""
RETRY_S = 0.02
"""Between two looks whether it gives one."""


class CapturedPicture(NamedTuple):
    """One picture and its time."""

    pixels: Pixels
    """uint8 [height, width, 3] BGR; there may be gaps between its rows. Valid until the next picture is taken: it may be written there."""
    t_ns: int
    """Live: when it was taken, as far as the camera tells, else when it arrived, on this machine's monotonic clock. File: media time, 0 at
    the first picture. Always increasing."""


class Lost(NamedTuple):
    """Pictures that the source has or had and cannot give, between the one before and the next."""

    pictures: int
    reason: str
    """As in `poselift.app.dataflow.ledger`."""


class SourceLost(Exception):
    """A camera that gave pictures and no longer does. One line for people; `open_source` may find it again later."""


class Source(Protocol):
    """Pictures, in order. To be iterated once, from one thread.

    Taking a picture waits for a camera a few seconds at most: then, or as soon as the camera is known to be gone, it raises
    SourceLost. A signal's handler runs before the next picture or after those few seconds, whichever is first.
    """

    name: str
    """For people and logs; never holds a password."""
    live: bool
    """True: a camera; it sets the pace and may be lost. False: a file or a pattern; it goes as fast as it is read, and may end."""
    fps: float
    """Nominal pictures per second; 0.0 where unknown."""
    heeds_fps: bool
    """Whether `capture.fps` is heeded: asked of a camera, or the rate of pictures that have no times of their own."""
    frames: Optional[int]
    """About how many pictures there will be; None where unknown or endless."""
    note: str
    """A warning for people, such as a truncated video (known at its end) or a setting the camera refused; "" where there is none."""

    def __iter__(self) -> Iterator[Union[CapturedPicture, Lost]]:
        """The pictures, and what is missing between. Raises SourceLost where a camera is gone; a cut file ends early, with a note."""
        ...

    def close(self) -> None:
        """Give the camera or the file back. May be called again."""
        ...


@contextmanager
def opening(camera: Source, why_not: Callable[[Exception], str], refusals: tuple[type[Exception], ...] = (SourceLost,)) -> Iterator[None]:
    """Within, a camera is opened and gives its first picture. Where that fails, it is given back.

    One that refuses in one of these ways, such as that it gives no picture, is a UserError: the line that `why_not` makes of it.
    """
    try:
        yield
    except refusals as error:
        camera.close()
        raise UserError(why_not(error)) from None
    except BaseException:
        camera.close()
        raise
