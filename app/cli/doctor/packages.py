"""Python, and the packages that every worker imports."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from poselift.app.cli.doctor.finding import Finding

OLDEST = (3, 9)


def look() -> Iterator[Finding]:
    """One finding for Python, one for the packages that are here, and one for each that is not."""
    new_enough = sys.version_info >= OLDEST
    found = f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("Python", found, new_enough, "" if new_enough else "install Python 3.9 or newer")
    try:
        names = needed()
    except PackageNotFoundError:
        yield Finding("packages", "poselift itself is not installed", False, "pip install . in poselift's folder")
        return
    here = []
    for package in names:
        try:
            here.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            yield Finding(package, "not installed", False, f"pip install {package}")
    yield Finding("packages", ", ".join(here), True)


def needed() -> list[str]:
    """What poselift requires without extras. Raises PackageNotFoundError where it was not installed."""
    names = (re.match(r"[\w.-]+", line) for line in requires("poselift") or () if "extra ==" not in line)
    return [name[0] for name in names if name]
