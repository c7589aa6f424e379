"""Fetches CANN's C headers, with which a test compares what we say of pyACL: `python tests/cann_headers.py FOLDER`. `make headers` does.

They lie in PyPI's package torch_npu, Huawei's adapter of PyTorch. Of two versions of it, one of CANN 8.1's time and the newest that was
there, only the headers are taken out. They are Huawei's, and no part of poselift.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

from poselift.models.weights import Wheel
from poselift.models.weights.fetch import download, verify

INSIDE = "torch_npu/include/third_party/acl/inc/"
HEADERS = ("acl/acl.h", "acl/acl_base.h", "acl/acl_base_rt.h", "acl/acl_base_mdl.h", "acl/acl_rt.h", "acl/acl_mdl.h")
CODES = ("acl/error_codes/rt_error_codes.h", "ge/ge_error_codes.h")


def wheel(version: str, python: str, glibc: str, size: int, sha256: str) -> Wheel:
    """One version's package for aarch64, whatever runs here; the headers are the same for all."""
    platforms = [f"manylinux_{glibc}_aarch64", *(["manylinux2014_aarch64"] if glibc == "2_17" else [])]
    arguments = ["--no-deps", "--only-binary=:all:", *(f"--platform={platform}" for platform in platforms)]
    arguments += [f"--python-version={python[0]}.{python[1:]}", "--implementation=cp", f"--abi=cp{python}"]
    file = f"torch_npu-{version}-cp{python}-cp{python}-{'.'.join(platforms)}.whl"
    return Wheel(f"torch_npu=={version}", file, size, sha256, tuple(arguments))


WHEELS = (
    wheel("2.5.1", "39", "2_17", 14025421, "19182b2240b4ebeab72f74de68b53384543d9ddb596819301219871016986909"),
    wheel("2.14.0", "311", "2_28", 39884542, "fa4c9782c003938dc70f073597b18539a170026cacc4645e33af7433f73e406b"),
)


def main(folder: Path) -> None:
    """Every version's headers, each in a folder of its own."""
    for wheel in WHEELS:
        with tempfile.TemporaryDirectory(prefix="poselift-") as scratch:
            path = download(wheel, Path(scratch))
            verify(wheel.file, path.read_bytes(), wheel.size, wheel.sha256)
            with zipfile.ZipFile(path) as archive:
                there = [name for name in (INSIDE + header for header in (*HEADERS, *CODES)) if name in archive.namelist()]
                for name in there:
                    to = folder / wheel.requirement.partition("==")[2] / name[len(INSIDE) :]
                    to.parent.mkdir(parents=True, exist_ok=True)
                    to.write_bytes(archive.read(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
