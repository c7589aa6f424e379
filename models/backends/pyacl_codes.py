"""What pyACL's return codes mean, in words, and what a person can do about each.

The numbers are those of the CANN reference, "aclError", and of the table of runtime error codes beside it; a test compares them with CANN's
C headers. Where the driver's logs are: CANN's log reference, "Ascend RC" (6.0.1 to 9.1), which is what both boards are.
"""

from __future__ import annotations

from typing import NamedTuple

SUCCESS = 0
REPEAT_INIT = 100002
INVALID_DEVICE = 107001
STUB_LIBRARY = 100039
BAD_ALLOC = 200000
NO_DEVICE = 207004
NO_PERMISSION = 207006

_LOG = "look into the newest files under /var/log/npu/slog, with sudo"
_BUG = f"this is a mistake in poselift: please report it with this line; {_LOG}"
_MODEL = "convert the network anew (poselift models atc) with the CANN version and the chip of this board"
_MEMORY = "stop other programs that use the NPU, or set fewer detect.people; npu-smi info shows what is free"
_DEVICE = f"poselift doctor tells whether the NPU is there; restart the board if it is not; {_LOG}"


class Meaning(NamedTuple):
    """A code in words."""

    words: str
    remedy: str


MEANINGS = {
    100000: Meaning("invalid parameter", _BUG),
    100001: Meaning("pyACL is not initialised", _BUG),
    REPEAT_INIT: Meaning("pyACL was initialised before", _BUG),
    100003: Meaning("invalid file", _MODEL),
    100011: Meaning("invalid model id", _BUG),
    100037: Meaning("pyACL was finalised before", _BUG),
    STUB_LIBRARY: Meaning(
        "a stub of CANN's library was loaded", "take the toolkit's devlib off LD_LIBRARY_PATH: it is for conversions on a PC without an NPU"
    ),
    107000: Meaning("invalid runtime parameter", _BUG),
    INVALID_DEVICE: Meaning("there is no such device", _DEVICE),
    107002: Meaning("no context in this thread", _BUG),
    107003: Meaning("the stream is of another context", _BUG),
    107017: Meaning("invalid handle", _BUG),
    145000: Meaning("invalid parameter of the graph engine", _MODEL),
    145001: Meaning("the executor is not initialised", _BUG),
    145002: Meaning("the model's path is wrong, or its file cannot be read", _MODEL),
    145003: Meaning("invalid model id", _BUG),
    145006: Meaning("the model's file has another size than it says", _MODEL),
    BAD_ALLOC: Meaning("out of memory", _MEMORY),
    200001: Meaning("not supported by this version or chip", _MODEL),
    207001: Meaning("memory allocation failed", _MEMORY),
    NO_DEVICE: Meaning("there is no device", _DEVICE),
    NO_PERMISSION: Meaning(
        "no permission for the device",
        "join the group that ls -l /dev/davinci0 shows (usermod -aG HwHiAiUser $USER), and log in again",
    ),
    207018: Meaning("the device is out of memory", _MEMORY),
    245000: Meaning("memory allocation of the graph engine failed", _MEMORY),
    300000: Meaning("storage over its limit", _MEMORY),
    500002: Meaning("failure in the graph engine", _MODEL),
    507008: Meaning("the chip and its driver disagree", "install the driver and the firmware of one version"),
    507010: Meaning("the device's heartbeat was lost", f"restart the board; {_LOG}"),
    507011: Meaning("the model's execution failed", _LOG),
    507014: Meaning("the NPU's core took too long", _LOG),
    507015: Meaning("exception in the NPU's core", _LOG),
    507017: Meaning("the NPU's CPU took too long", _LOG),
    507018: Meaning("exception in the NPU's CPU", _LOG),
    507033: Meaning(
        "the device could not be set up",
        f"another program or container may have it, or its driver is not up yet: poselift doctor looks; {_LOG}",
    ),
    507899: Meaning("internal error of the driver", _DEVICE),
    545601: Meaning("execution took too long", _LOG),
}
_CLASSES = {
    1: Meaning("error of the caller or the environment", _LOG),
    2: Meaning("lack of a resource", _MEMORY),
    3: Meaning("error of the service", _LOG),
    5: Meaning("internal error", _DEVICE),
}


UNLOADABLE = frozenset(code for code, of in MEANINGS.items() if of.remedy == _MODEL)
"""Codes for a model that this CANN and chip cannot load, however often it is tried."""


TO_MEND = frozenset((INVALID_DEVICE, STUB_LIBRARY, NO_DEVICE, NO_PERMISSION, 507008))
"""Codes with which no device can be had before a user mends something. 507033 is not one: whoever has the device may let go of it."""


def meaning(code: int) -> Meaning:
    """What `code` means; of one that is not known, what its class (the first of six digits) means."""
    return MEANINGS.get(code) or _CLASSES.get(code // 100000) or Meaning("unknown error", _LOG)
