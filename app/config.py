"""`config.yaml` as one strict typed tree: a typo or a wrong value is an error that names the key, the value and what is allowed."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from poselift.app.dataflow.streams import WORKERS
from poselift.app.redact import display_name
from poselift.common.atomic import naming
from poselift.common.errors import UserError
from poselift.common.skeleton import BODY_HEIGHT_M


class Section(BaseModel):
    """Part of the tree: unknown keys are refused, values are never converted, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


class CaptureConfig(Section):
    """Where the pictures come from."""

    source: str = "0"
    width_px: Optional[int] = Field(None, ge=16, le=16384)
    height_px: Optional[int] = Field(None, ge=16, le=16384)
    fps: Optional[float] = Field(None, gt=0, le=1000)
    pixel_format: Optional[str] = Field(None, min_length=4, max_length=4)
    exposure: Optional[float] = None
    buffers: Optional[int] = Field(None, ge=1, le=10)
    reopen_pause_s: float = Field(0.5, gt=0)
    reopen_pause_max_s: float = Field(10.0, gt=0)
    ring_slots: int = Field(8, ge=4, le=64)


class NpuConfig(Section):
    """The Ascend NPU, and the networks that were converted for it."""

    folder: Optional[str] = None
    device: int = Field(0, ge=0, le=63)


class DetectConfig(Section):
    """The 2D detector."""

    people: int = Field(4, ge=1, le=16)
    detector: Optional[str] = None
    model: Optional[str] = None
    threads: int = Field(1, ge=1, le=64)
    min_detection_score: float = Field(0.5, gt=0, lt=1)
    min_presence: float = Field(0.5, ge=0, le=1)


HeightM = Annotated[float, Field(ge=0.3, le=3.0)]


class LiftConfig(Section):
    """The lifter from 2D to 3D."""

    model: Optional[str] = None
    threads: int = Field(1, ge=1, le=64)
    body_height_m: HeightM = BODY_HEIGHT_M
    body_heights_m: Optional[dict[Annotated[int, Field(ge=1)], HeightM]] = Field(None, min_length=1)
    focal_px: Optional[float] = Field(None, gt=0)
    hold_s: float = Field(0.5, ge=0)
    max_gap_s: float = Field(0.5, gt=0)
    steady: bool = True


class RecordConfig(Section):
    """The recording on disk."""

    folder: Optional[str] = None
    name: str = Field("session", pattern=r"^[\w-]+$")
    start: bool = True
    pictures: Literal["jpeg", "png", "none"] = "jpeg"
    jpeg_quality: int = Field(85, ge=1, le=100)
    min_free_mb: int = Field(200, ge=0)


class ServeConfig(Section):
    """What viewers elsewhere get. Where no keys folder is named, addresses other than loopback use the user's."""

    address: Optional[str] = None
    max_width_px: int = Field(1280, ge=16, le=16384)
    max_quality: int = Field(85, ge=1, le=100)
    max_rate_hz: float = Field(15.0, ge=0, le=1000)
    max_viewers: int = Field(16, ge=1, le=1000)
    keys_folder: Optional[str] = None


class MetricsConfig(Section):
    """Where Prometheus asks how the pipeline is: on this machine only."""

    address: Optional[str] = None

    @field_validator("address")
    @classmethod
    def _is_here(cls, address: Optional[str]) -> Optional[str]:
        if address is not None and not _is_loopback(address):
            raise PydanticCustomError("address", "give an address of this machine's own and a port, such as 127.0.0.1:9570 or [::1]:9570")
        return address


class BusConfig(Section):
    """The queues between the workers."""

    queue: int = Field(16, ge=1, le=1000)
    wait_for_takers_s: float = Field(20.0, ge=0)


class SupervisorConfig(Section):
    """How workers are restarted and stopped."""

    max_restarts: int = Field(5, ge=0)
    restart_window_s: float = Field(60.0, gt=0)
    start_timeout_s: float = Field(90.0, ge=2)
    silent_timeout_s: float = Field(30.0, ge=2)
    stop_timeout_s: float = Field(10.0, gt=0)


def _known_worker(name: str) -> str:
    if name not in WORKERS:
        *most, last = (f"'{worker}'" for worker in WORKERS)
        raise PydanticCustomError("worker", "input should be {known}", {"known": f"{', '.join(most)} or {last}"})
    return name


WorkerName = Annotated[str, AfterValidator(_known_worker)]


class Config(Section):
    """The whole tree. The defaults here are those of `config.yaml`; a test keeps the two equal."""

    mode: Literal["live", "file"] = "live"
    workers: Optional[list[WorkerName]] = Field(None, min_length=1)
    runtime_folder: Optional[str] = None
    models_folder: Optional[str] = None
    npu: NpuConfig = NpuConfig()
    capture: CaptureConfig = CaptureConfig()
    detect: DetectConfig = DetectConfig()
    lift: LiftConfig = LiftConfig()
    record: RecordConfig = RecordConfig()
    serve: ServeConfig = ServeConfig()
    metrics: MetricsConfig = MetricsConfig()
    bus: BusConfig = BusConfig()
    supervisor: SupervisorConfig = SupervisorConfig()

    @property
    def live(self) -> bool:
        """Whether the newest frame wins (else every frame is processed)."""
        return self.mode == "live"

    @property
    def running(self) -> tuple[str, ...]:
        """The workers that run, senders before takers."""
        return tuple(worker for worker in WORKERS if not self.lacks(worker))

    def lacks(self, worker: str) -> str:
        """What a worker of the table still needs to run with these settings, in words; empty where it runs."""
        if worker not in (self.workers or WORKERS):
            return "a place in workers"
        row = WORKERS[worker]
        unset = [row.needs] if row.needs and not attrgetter(row.needs)(self) else []
        return " and ".join(unset + ["mode: live"] * (row.live_only and not self.live))

    def nothing_runs(self) -> str:
        """Why no worker runs, in words; empty where one does."""
        lacks = (f"{worker} needs {self.lacks(worker)}" for worker in self.workers or WORKERS)
        return "" if self.running else f"nothing to run: {'; '.join(lacks)}"

    def runtime_path(self) -> Path:
        """The folder of the sockets, the ring of frames and the lock; it may not exist yet."""
        if self.runtime_folder:
            return Path(self.runtime_folder)
        if os.access("/dev/shm", os.W_OK):
            return Path("/dev/shm") / f"poselift-{os.getuid()}"
        return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"poselift-{os.getuid()}"

    def models_path(self) -> Optional[Path]:
        """The folder of fetched networks, None for the default one."""
        return Path(self.models_folder) if self.models_folder else None

    def changed(self, **sections: Any) -> Config:
        """This tree with some settings replaced: `config.changed(mode="file", record={"folder": "out"})`. Checked like a file."""
        tree = self.model_dump()
        for key, value in sections.items():
            tree[key] = {**tree[key], **value} if isinstance(value, dict) else value
        return parse(tree, "settings")


def _is_loopback(address: str) -> bool:
    """Whether this is a number of this machine's own, and a TCP port."""
    host, _, port = address.rpartition(":")
    try:
        here = ipaddress.ip_address(host[1:-1] if host.startswith("[") else host)
    except ValueError:
        return False
    return here.is_loopback and (here.version == 6) == host.startswith("[") and port.isascii() and port.isdigit() and 0 < int(port) < 65536


def parse(tree: Any, where: str) -> Config:
    """A tree of plain values as a Config. Raises UserError that names `where`, the key, the value and what is allowed."""
    if tree is None:
        tree = {}
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{where}: " + "; ".join(map(_explain, error.errors()))) from None


def load(path: Optional[Path]) -> Config:
    """The Config in the YAML file `path`, or the defaults where it is None. Raises UserError."""
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot read this config file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: this config file is not UTF-8 text") from None
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: such as a date that does not exist
        raise UserError(f"{path}: not valid YAML ({_problem(error)})") from None
    return parse(tree, str(path))


def save(config: Config, path: Path) -> None:
    """Write the whole tree to `path`, readable by its owner only: a camera's address may hold a password."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with naming(path), os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)  # also where the file was there before
        yaml.safe_dump(config.model_dump(), file, sort_keys=False)


def redacted(config: Config) -> str:
    """The whole tree as YAML text, without passwords."""
    tree = config.changed(capture={"source": display_name(config.capture.source)}).model_dump()
    return yaml.safe_dump(tree, sort_keys=False)


def _problem(error: Exception) -> str:
    """What is wrong and where; without the line itself, which may hold a password."""
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return what + (f", line {mark.line + 1}, column {mark.column + 1}" if mark else "")


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if part != "[key]") or "the file"
    value = display_name(repr(error["input"]))[:100]
    if error["type"] == "extra_forbidden":
        known = Config.model_fields
        for part in error["loc"][:-1]:
            known = known[part].annotation.model_fields  # type: ignore[union-attr]
        return f"unknown key {key} (value {value}); known here: {', '.join(known)}"
    return f"{key}: {value} is not allowed: {error['msg'][0].lower()}{error['msg'][1:]}"
