"""The last 30 s of a live stream."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Callable, Generic, Optional, TypeVar, Union

from poselift.app.dataflow.messages import Health, Pose2D, Pose3D
from poselift.app.view.history import MAX_OVERLAY_AGE_NS, CompressedImage, Snapshot

KEPT_NS = 30 * 10**9
MAX_IMAGE_BYTES = 96 << 20
"""If 30 s of images are larger than this, the oldest are dropped."""
MAX_MESSAGES = 8192
"""Of each kind: 30 s at 270 messages a second."""

T = TypeVar("T", bound=Union[CompressedImage, Pose2D, Pose3D])


class _TimeSeries(Generic[T]):
    """Messages in the order of their times."""

    def __init__(self, messages: Sequence[T] = ()) -> None:
        self.messages: list[T] = list(messages)
        self.times_ns: list[int] = [message.t_ns for message in messages]

    def add(self, message: T) -> None:
        """Insert a message in its place; it replaces one of the same time."""
        index = bisect_left(self.times_ns, message.t_ns)
        if index < len(self.times_ns) and self.times_ns[index] == message.t_ns:
            self.messages[index] = message
            return
        self.messages.insert(index, message)
        self.times_ns.insert(index, message.t_ns)

    def last(self, t_ns: int) -> Optional[T]:
        """The newest message up to that time."""
        index = bisect_right(self.times_ns, t_ns)
        return self.messages[index - 1] if index else None

    def drop_before(self, t_ns: int, dropped: Callable[[T], None] = lambda _: None) -> None:
        """Drop the messages before that time, and the oldest above MAX_MESSAGES; call `dropped` for each."""
        count = max(bisect_left(self.times_ns, t_ns), len(self.messages) - MAX_MESSAGES, 0)
        for message in self.messages[:count]:
            dropped(message)
        del self.messages[:count], self.times_ns[:count]


class LiveHistory:
    """A `History` to which messages are added as they arrive. It starts over when frame numbers or times go back: a new source began."""

    def __init__(self) -> None:
        self.reset()

    def add(self, message: Union[CompressedImage, Pose2D, Pose3D, Health]) -> None:
        """Keep a message that has arrived."""
        if isinstance(message, Health):
            self._health[message.worker] = message
            return
        if self._goes_back(message):
            self._clear()
        self._newest[type(message)] = message
        if isinstance(message, CompressedImage):
            self._images.add(message)
            self._image_bytes += len(message.data)
        elif isinstance(message, Pose2D):
            if not isinstance(self._overlays.last(message.t_ns), Pose3D) or self._overlays.times_ns[-1] < message.t_ns:
                self._overlays.add(message)
        else:
            self._poses.add(message)
            self._overlays.add(message)
        self._drop_old()

    @property
    def span_ns(self) -> Optional[tuple[int, int]]:
        """The times of the first and the last pose; of the images while there are no poses."""
        times = self._poses.times_ns or self._images.times_ns
        return (times[0], times[-1]) if times else None

    def at(self, t_ns: int) -> Snapshot:
        """What is shown at that time."""
        image = self._images.last(t_ns)
        overlay = self._overlays.last(image.t_ns if image else t_ns)
        if image and overlay and image.t_ns - overlay.t_ns > MAX_OVERLAY_AGE_NS:
            overlay = None
        return Snapshot(t_ns, self._poses.last(t_ns), image, overlay, self._health)

    def neighbour(self, t_ns: int, steps: int) -> int:
        """The time of the pose (the image, while there are no poses) so many steps away."""
        times = self._poses.times_ns or self._images.times_ns
        index = bisect_right(times, t_ns) - 1 + steps
        return times[min(max(index, 0), len(times) - 1)] if times else t_ns

    def poses(self, first_ns: int, last_ns: int) -> Sequence[Pose3D]:
        """The poses between two times, both included."""
        times = self._poses.times_ns
        return self._poses.messages[bisect_left(times, first_ns) : bisect_right(times, last_ns)]

    def reset(self) -> None:
        """Forget everything: the next message is of another session."""
        self._health: dict[str, Health] = {}
        self._clear()

    def frozen_copy(self) -> LiveHistory:
        """A copy that nothing is added to."""
        copy = LiveHistory()
        copy._health = dict(self._health)
        copy._images, copy._overlays = _TimeSeries(self._images.messages), _TimeSeries(self._overlays.messages)
        copy._poses = _TimeSeries(self._poses.messages)
        return copy

    def _clear(self) -> None:
        self._images: _TimeSeries[CompressedImage] = _TimeSeries()
        self._overlays: _TimeSeries[Union[Pose2D, Pose3D]] = _TimeSeries()
        self._poses: _TimeSeries[Pose3D] = _TimeSeries()
        self._image_bytes = 0
        self._newest: dict[type, Union[CompressedImage, Pose2D, Pose3D]] = {}

    def _goes_back(self, message: Union[CompressedImage, Pose2D, Pose3D]) -> bool:
        """Whether a message is the first of a new source. An earlier number and time from the same sender is only a late message."""
        newest = self._newest.get(type(message))
        if newest is None:
            return False
        if message.frame <= newest.frame:
            new_sender = getattr(message, "incarnation", 0) != getattr(newest, "incarnation", 0)
            return new_sender or message.t_ns < newest.t_ns - KEPT_NS
        return message.t_ns < newest.t_ns

    def _drop_old(self) -> None:
        newest_ns = max(times[-1] for times in (self._images.times_ns, self._overlays.times_ns, self._poses.times_ns) if times)
        self._overlays.drop_before(newest_ns - KEPT_NS)
        self._poses.drop_before(newest_ns - KEPT_NS)
        self._images.drop_before(newest_ns - KEPT_NS, self._image_dropped)
        while self._image_bytes > MAX_IMAGE_BYTES:
            self._image_dropped(self._images.messages[0])
            del self._images.messages[0], self._images.times_ns[0]

    def _image_dropped(self, image: CompressedImage) -> None:
        self._image_bytes -= len(image.data)
