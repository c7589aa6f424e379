"""Reading a recording: the parts of its session as one, every whole message of them, in the order written or by time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional, TypeVar

import numpy as np
import numpy.typing as npt
import yaml

from poselift.app.dataflow.messages import Message, MessageError, OtherSchema, decode
from poselift.app.recording.part import TOPICS, UNKNOWN, Content, Part, Piece
from poselift.app.recording.parts import parts
from poselift.app.redact import display_name
from poselift.common.errors import UserError

HELD_PIECES = 4
"""So many that were looked into by time stay in memory: each is a few MB at most."""

Kind = TypeVar("Kind")


class Row(NamedTuple):
    """Where the messages of one type are, by their times."""

    times_ns: npt.NDArray[np.int64]
    """int64 [N], rising."""
    places: npt.NDArray[np.int64]
    """int64 [N, 3]: number of the piece; offset and length in it, bytes."""


class Recording:
    """The recording at `path`: every whole message, also of one that is damaged, was cut anywhere, or is still being written.

    Its files are walked through once; then an index is there. Later parts that are of another session, or no recording, are left out.
    Raises UserError where `path` is no recording, or, while it is read, one of a newer poselift.
    """

    def __init__(self, path: Path) -> None:
        self._parts: list[Part] = []
        self._left_out: list[str] = []
        for file in parts(path):
            self._take(file)
        if not self._parts:
            raise UserError(f"{display_name(str(path))}: no such recording")
        self.path, self.info, self.session = path, self._parts[0].info, self._parts[0].session
        self._index: Optional[list[tuple[Part, Piece]]] = None
        self._contents: OrderedDict[int, Optional[Content]] = OrderedDict()
        self._unreadable: dict[tuple[int, int], str] = {}

    @property
    def notes(self) -> list[str]:
        """Lines for people, once it was gone through: what is damaged, was left out, was not closed."""
        unreadable = len(self._unreadable)
        why = next(iter(self._unreadable.values()), "")
        said = [f"{self.path}: {unreadable} of its messages left out: {why}"] if unreadable else []
        return [*self._left_out, *(note for part in self._parts for note in part.notes()), *said]

    def setting(self, section: str, key: str) -> Any:
        """As the config had it when this was recorded; None where the recording does not tell: no checksum covers that."""
        with suppress(yaml.YAMLError, KeyError, TypeError, ValueError):
            return yaml.safe_load(self.info["config"])[section][key]
        return None

    def messages(self, kinds: Optional[Sequence[type[Any]]] = None) -> Iterator[Message]:
        """The messages, or those of some types, in the order written. Holds one piece in memory."""
        wanted = [*TOPICS.values(), UNKNOWN] if kinds is None else [TOPICS[kind.__name__] for kind in kinds]
        for number, (part, piece, content) in enumerate(self._pieces()):
            places = piece.places[np.isin(piece.places["topic"], wanted)]
            if not len(places):
                continue
            content = part.content(piece) if content is None else content
            for _, _, offset, length in places.tolist():
                message = self._decoded(number, content, offset, length)
                if message is not None:
                    yield message

    def of(self, kind: type[Kind]) -> Iterator[Kind]:
        """The messages of one type, in the order written."""
        return (message for message in self.messages([kind]) if isinstance(message, kind))

    def by_time(self, kind: type[Message]) -> Row:
        """Where the messages of one type are, by their times."""
        found = [np.zeros((0, 4), np.int64)]
        for number, (_, piece, _) in enumerate(self._pieces()):
            places = piece.places[piece.places["topic"] == TOPICS[kind.__name__]]
            found.append(np.stack([places["t_ns"], np.full(len(places), number), places["offset"], places["length"]], axis=1))
        rows = np.concatenate(found)
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        return Row(rows[:, 0], rows[:, 1:])

    def at(self, place: npt.NDArray[np.int64]) -> Optional[Message]:
        """The message at a place of `by_time`; None where it cannot be read."""
        number, offset, length = place.tolist()
        if number not in self._contents:
            assert self._index is not None, "places come from `by_time`"
            part, piece = self._index[number]
            self._contents[number] = part.content(piece)
            if len(self._contents) > HELD_PIECES:
                self._contents.popitem(last=False)
        return self._decoded(number, self._contents[number], offset, length)

    def _take(self, file: Path) -> None:
        try:
            part = Part(file)
        except UserError as error:
            if not self._parts:
                raise
            self._left_out.append(f"{error}; left out")
            return
        first = self._parts[0] if self._parts else part
        if part.session == first.session:
            self._parts.append(part)
        else:
            self._left_out.append(f"{file}: of another session than {first.path.name}; left out, open it by its own name")

    def _pieces(self) -> Iterator[tuple[Part, Piece, Optional[Content]]]:
        """Every piece, and its content where that was read to find it."""
        if self._index is not None:
            yield from ((part, piece, None) for part, piece in self._index)
            return
        index = []
        for part in self._parts:
            for piece, content in part.pieces():
                index.append((part, piece))
                yield part, piece, content
        self._index = index

    def _decoded(self, number: int, content: Optional[Content], offset: int, length: int) -> Optional[Message]:
        if content is None:
            return None
        try:
            return decode(bytes(content[offset : offset + length]))
        except OtherSchema as error:
            raise UserError(f"{self.path}: {error}") from None
        except MessageError as error:
            self._unreadable[number, offset] = str(error)
            return None


def read(path: Path, kinds: Optional[Sequence[type[Any]]] = None, note: Callable[[str], None] = lambda line: None) -> Iterator[Message]:
    """The messages of the recording at `path` in one go; `note` is called with `Recording.notes` at the end. Raises UserError."""
    recording = Recording(path)

    def messages() -> Iterator[Message]:
        yield from recording.messages(kinds)
        for line in recording.notes:
            note(line)

    return messages()
