"""What all functions of pyACL have in common: positional arguments of the right types, and three ways to tell of a failure."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from acl_simulator import codes
from acl_simulator.errors import AclError
from acl_simulator.npu import npu


class Gives(NamedTuple):
    """The shape of a function's result."""

    success: Callable[[Any], Any]
    failure: Callable[[int], Any]


RET = Gives(lambda _: 0, lambda code: code)
VALUE_RET = Gives(lambda value: (value, 0), lambda code: (0, code))
TWO_VALUES_RET = Gives(lambda values: (*values, 0), lambda code: (0, 0, code))
DICT_RET = Gives(lambda value: (value, 0), lambda code: ({}, code))


def bare(failure: Any) -> Gives:
    """The value alone; `failure` where there is none."""
    return Gives(lambda value: value, lambda _: failure)


def entry(
    *kinds: type,
    gives: Gives,
    optional: int = 0,
    device: bool = False,
    releases: bool = False,
    strikes: bool = True,
    gone: int = codes.DRIVER,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function one of pyACL's.

    `kinds` are its arguments' types, the last `optional` of which may be left out. One that touches the `device` can be struck by a
    fault, and fails with the code `gone` while there is no device, and in contexts from before it was away; if it `releases` something,
    it does so even then. Where a fault may be meant for one model, the function `strikes` by itself.
    """

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        name = f"{function.__module__}.{function.__name__}"
        short = name.partition(".")[2]

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            if not len(kinds) - optional <= len(arguments) <= len(kinds) or not all(map(isinstance, arguments, kinds)):
                raise TypeError(f"{name} args parse failed")
            here = npu()
            here.check_process()
            with here.lock:
                here.report.calls[short] += 1
            try:
                if device and not here.initialised:
                    here.report.violation(f"{short} without acl.init")
                    raise AclError(codes.UNINITIALISED)
                away = device and here.away
                if away and not releases:
                    raise AclError(gone)
                if device and strikes:
                    here.faults.strike(short)
                value = function(*arguments)
                if away:
                    raise AclError(gone)
            except AclError as error:
                return gives.failure(error.code)
            return gives.success(value)

        call.kinds, call.gives = kinds, gives  # for the test against CANN's headers
        return call

    return wrap


def locked(function: Callable[..., Any]) -> Callable[..., Any]:
    """One thread at a time."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        with npu().lock:
            return function(*arguments)

    return call
