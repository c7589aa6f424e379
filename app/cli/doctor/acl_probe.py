"""Asks pyACL, for `poselift doctor`: `poselift acl-probe DEVICE [FILE.om...]` prints the answer as one line of JSON.

In a process of its own, because a sick driver may hang or crash, and pyACL can be set up only once in a process.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from poselift.common.errors import DeviceError, ModelError
from poselift.models.backends.backend import open_model


def ask(number: int, paths: list[Path]) -> dict[str, Any]:
    """`module`: where pyACL is, None where it is not; `trouble`: a line for people, empty where all is well; then the device's facts.

    `networks`: for each file what keeps it from running here, or an empty line.
    """
    spec = importlib.util.find_spec("acl")
    answer: dict[str, Any] = {"module": spec and spec.origin, "trouble": ""}
    if spec is None:
        return answer
    try:
        from poselift.models.backends import pyacl
        from poselift.models.backends.ascend_device import acquire, release

        device = acquire(number)
        try:
            answer["soc"], answer["devices"] = device.soc, pyacl.device_count()
            answer["beside"] = pyacl.run_mode() == pyacl.RUN_ON_DEVICE
            answer["networks"] = {str(path): _why_not(path, number) for path in paths}
        finally:
            release(device)
    except Exception as error:  # whatever it is: the doctor says it
        answer["trouble"] = str(error) if isinstance(error, (DeviceError, ModelError)) else f"{type(error).__name__}: {error}"
    return answer


def _why_not(path: Path, number: int) -> str:
    try:
        open_model(path, device=number).close()
    except (DeviceError, ModelError) as error:
        return str(error)
    return ""
