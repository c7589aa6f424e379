"""The camera on the CSI connector of an Atlas 200 DK, by Huawei's acllite.

Not run on hardware: checked against a stand-in. What is said of acllite is from its source, as published with Huawei's samples
(Ascend/samples, python/common/acllite: cameracapture.py, acllite_image.py, lib/src/camera.cpp). `CameraCapture(id, fps, size)` opens the
camera and never raises: `is_opened` tells. `read` gives a picture in the NPU's memory (NV12 or NV21, width x height x 3/2 bytes), or None;
the picture gives that memory back when it goes. All of it needs pyACL initialised and a context in this thread, which acllite leaves to
its caller. The board's run mode is DEVICE: program and NPU share one memory. pyACL is initialised once in a process ("aclInit"), so a
camera that is lost and found again leaves the NPU in use; the end of the process lets go of it.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.util
import io
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from poselift.app.config import CaptureConfig
from poselift.common.errors import DeviceError, ModelError, UserError
from poselift.workers.sources.pixel_formats import Decoder
from poselift.workers.sources.source import LOST_AFTER_S, RETRY_S, CapturedPicture, SourceLost, opening

if TYPE_CHECKING:  # importing it needs pyACL
    from poselift.models.backends.ascend_device import Device

WIDTH_PX, HEIGHT_PX = 1280, 720
MAX_FPS = 20
"""acllite's C++ CameraCapture refuses more."""
_CAMERAS = ("csi:0", "csi:1")
_FORMATS = ("NV12", "NV21")
"""Which colour comes first: acllite itself takes the camera's pictures for NV12, Huawei's live samples for NV21. A board must tell."""
_NPU = 0
"""The board has one."""

log = logging.getLogger("capture")


class CsiSource:
    """The camera's pictures, 1280x720. t_ns is when a picture has arrived in the NPU's memory.

    The camera gives no time of its own, so exposure, readout and the board's image processing lie before t_ns, and the moments that this
    process was late lie in it. A read that waits for ever cannot be ended from here: the process falls silent, and the supervisor or
    systemd brings it back.
    """

    live = True
    heeds_fps = True
    frames: Optional[int] = None
    note = ""

    def __init__(self, settings: CaptureConfig, lost_after_s: float = LOST_AFTER_S) -> None:
        self.name = settings.source
        _check(settings)
        self.fps = settings.fps or float(MAX_FPS)
        self._lost_after_s = lost_after_s
        self._last_ns = 0
        self._data = np.empty(HEIGHT_PX * WIDTH_PX * 3 // 2, np.uint8)
        self._decode = Decoder(settings.pixel_format or _FORMATS[0], WIDTH_PX, HEIGHT_PX, WIDTH_PX)
        self._camera: Any = None
        self._device = _npu(self.name)
        with opening(self, lambda lost: f"{lost}; {_WHY_NOT}"):
            with _quiet():
                self._camera = _acllite(self.name).CameraCapture(_CAMERAS.index(self.name), int(self.fps), (WIDTH_PX, HEIGHT_PX))
            if not self._camera.is_opened():
                raise UserError(f"{self.name}: the camera cannot be opened; {_WHY_NOT}")
            self._first: Optional[CapturedPicture] = self._take(2 * lost_after_s)

    def __iter__(self) -> Iterator[CapturedPicture]:
        """The pictures, for ever; each is written over the one before. Raises SourceLost, and DeviceError where the NPU fails."""
        if self._first:
            yield self._first
            self._first = None
        while True:
            yield self._take(self._lost_after_s)

    def close(self) -> None:
        """Give the camera back."""
        camera, self._camera = self._camera, None
        with _quiet():
            if camera and camera.is_opened():
                camera.close()
            del camera  # it closes itself once more when it goes: now, and not when pyACL may be gone

    def _take(self, timeout_s: float) -> CapturedPicture:
        """The next picture, converted into this source's own buffer."""
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            with _quiet():
                self._device.enter()
                image = self._camera.read()
                arrival_ns = time.monotonic_ns()
                if image is not None:
                    try:
                        with self._device.lock:
                            self._device.download(image.data(), self._data)
                    finally:
                        del image  # gives its memory back, also while an error is on its way
                    pixels = self._decode(self._data)
                    if pixels is not None:
                        self._last_ns = max(arrival_ns, self._last_ns + 1)
                        return CapturedPicture(pixels, self._last_ns)
            time.sleep(RETRY_S)
        raise SourceLost(f"{self.name}: the camera has given no picture for {timeout_s:g} s")


_WHY_NOT = (
    "it is in use by another program, there is none on this connector, or its cable is loose (switch the board off before you touch it); "
    "what the driver says is under /var/log/npu/slog"
)


def _check(settings: CaptureConfig) -> None:
    """Raise UserError for what this camera has not."""
    if settings.source not in _CAMERAS:
        raise UserError(f"{settings.source}: no such camera; the board's connectors are {' and '.join(_CAMERAS)}")
    fps = settings.fps
    refused = [
        (settings.width_px not in (None, WIDTH_PX), f"width_px {settings.width_px}: it has {WIDTH_PX}"),
        (settings.height_px not in (None, HEIGHT_PX), f"height_px {settings.height_px}: it has {HEIGHT_PX}"),
        (fps is not None and (fps > MAX_FPS or fps % 1), f"fps {fps:g}: it has 1 to {MAX_FPS}, whole numbers" if fps else ""),
        (settings.pixel_format not in (None, *_FORMATS), f"pixel_format {settings.pixel_format}: it has {' or '.join(_FORMATS)}"),
        (settings.exposure is not None, f"exposure {settings.exposure}: it is automatic"),
        (settings.buffers is not None, f"buffers {settings.buffers}: its driver has its own"),
    ]
    if any(wrong for wrong, _ in refused):
        raise UserError(f"{settings.source}: this camera cannot do capture.{'; '.join(text for wrong, text in refused if wrong)}")


_device: Optional[Device] = None
"""The NPU, from the first camera to the end of the process."""


def _npu(name: str) -> Device:
    """The board's NPU, in use. Raises UserError where this machine has none that shares its memory with programs; DeviceError."""
    global _device
    if importlib.util.find_spec("acl") is None:
        raise UserError(
            f"{name}: this camera is an Atlas 200 DK's and needs CANN's pyACL, and there is no module 'acl' here: on the board, source "
            "CANN's set_env.sh first; elsewhere choose another capture.source"
        )
    try:
        from poselift.models.backends import pyacl
        from poselift.models.backends.ascend_device import acquire

        if _device is None:
            _device = acquire(_NPU)
            atexit.register(leave)
    except ModelError as error:
        raise UserError(f"{name}: {error}") from None
    if pyacl.run_mode() != pyacl.RUN_ON_DEVICE:
        raise UserError(f"{name}: this is not an Atlas 200 DK: its NPU has a memory of its own, which acllite's camera does not know")
    return _device


def leave() -> None:
    """Let go of the NPU: at the end of the process, where it happens by itself."""
    global _device
    device, _device = _device, None
    if device:
        from poselift.models.backends.ascend_device import release

        try:
            release(device)
        except DeviceError as error:  # the process ends, and nobody is left to catch it
            log.warning("%s", error)


def _acllite(name: str) -> Any:
    """acllite's module with the camera, whose parts import each other by their bare names: its folder is on PYTHONPATH, or the one above.

    Raises UserError where it is missing, or something that it needs is.
    """
    where = "acllite" if importlib.util.find_spec("cameracapture") is None else ""
    try:
        module = importlib.import_module(f"{where}.cameracapture" if where else "cameracapture")
    except ModuleNotFoundError as error:
        if error.name in ("acllite", "acllite.cameracapture"):
            raise UserError(f"{name}: acllite is not on PYTHONPATH (no module 'cameracapture'); {_GET_IT}") from None
        raise UserError(f"{name}: acllite is here, but needs the module '{error.name}': install that first") from None
    except (ImportError, OSError) as error:  # OSError: its library, or one that this needs
        raise UserError(f"{name}: acllite is here, but cannot be loaded ({error}); {_GET_IT}") from None
    if not hasattr(module, "CameraCapture"):
        raise UserError(f"{name}: the module 'cameracapture' at {module.__file__} is not acllite's; {_GET_IT}")
    return module


_GET_IT = "copy acllite to the board, build its library, and add its folder to PYTHONPATH (docs/board.md tells how)"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """acllite prints: its lines go to the log, where whoever looks for them finds them. What its library prints goes to stdout."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    finally:
        for line in said.getvalue().splitlines():
            log.debug("acllite: %s", line)
