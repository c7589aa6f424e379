"""One small value in a file in the runtime folder: what a worker must still know when it was killed and is started again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, Optional, TypeVar

import yaml

from poselift.app.dataflow.session import Session
from poselift.common.atomic import replacing

Value = TypeVar("Value", int, str)


class SavedValue(Generic[Value]):
    """A value in the file NAME.yaml, by which ending the supervisor knows what it may remove before and after a run.

    What was written in another session, or with other `facts`, does not count.
    """

    def __init__(self, folder: Path, name: str, kind: type[Value], session: Session, **facts: Any) -> None:
        self._path = folder / f"{name}.yaml"
        self._kind: type[Value] = kind
        self._known = {**facts, **session.facts()}

    def read(self) -> Optional[Value]:
        """What was written last; None where nothing was."""
        try:
            tree = yaml.safe_load(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return None
        value = tree.pop("value", None) if isinstance(tree, dict) else None
        return value if isinstance(value, self._kind) and tree == self._known else None

    def write(self, value: Value) -> None:
        """Save it. Raises OSError."""
        with replacing(self._path) as part:
            part.write_text(yaml.safe_dump({"value": value, **self._known}), encoding="utf-8")

    def forget(self) -> None:
        """The work is done: the next worker begins anew."""
        self._path.unlink(missing_ok=True)
