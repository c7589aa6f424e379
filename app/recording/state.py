"""What the recorder was told last, for the one that comes after a recorder that was killed: a small file in the runtime folder."""

from __future__ import annotations

from typing import Optional

import yaml

from poselift.app.config import Config
from poselift.app.dataflow.session import Session
from poselift.common.atomic import replacing

FILE = "recording.yaml"
"""By this ending the supervisor knows what it may remove before and after a run."""


class RecordingState:
    """The name of the recording that is on, empty where recording is off.

    What was written in another session or under other settings no longer counts.
    """

    def __init__(self, config: Config, session: Session) -> None:
        self._path = config.runtime_path() / FILE
        self._known = {"settings": config.record.model_dump(), **session.told()}

    def read(self) -> Optional[str]:
        """What was written last; None where nothing was."""
        try:
            tree = yaml.safe_load(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return None
        known = isinstance(tree, dict) and isinstance(tree.get("name"), str) and tree == {"name": tree["name"], **self._known}
        return str(tree["name"]) if known else None

    def write(self, name: str) -> None:
        """Keep this name. Raises OSError."""
        with replacing(self._path) as part:
            part.write_text(yaml.safe_dump({"name": name, **self._known}), encoding="utf-8")

    def forget(self) -> None:
        """The recorder's work is done: the next one begins as its settings say."""
        self._path.unlink(missing_ok=True)
