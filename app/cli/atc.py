"""`poselift models atc`: the networks in use as ATC takes them, and their conversion where ATC is."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from poselift.app.cli.console import say
from poselift.app.config import Config, load
from poselift.app.offline.outputs import keep_apart
from poselift.common.atomic import replacing
from poselift.common.errors import ModelError, UserError
from poselift.models.backends.om_card import OmCard, card_path, read_card, write_card
from poselift.models.lifting.lifter_metadata import LifterMetadata
from poselift.workers.networks import LIFTER, POSE, networks

SCRIPT = "convert.sh"


class Network(NamedTuple):
    """One network, ready to be written."""

    content: bytes
    """Of the ONNX file."""
    card: OmCard
    command: Sequence[str]


def atc(soc: Optional[str], people: Optional[int], out: Optional[Path], overwrite: bool, config_path: Optional[Path]) -> None:
    """Write the folder; run ATC where it is on the path."""
    config = load(config_path)
    soc = _chip(soc)
    wanted = config.detect.people
    config = config.changed(detect={"people": people or wanted})
    people = config.detect.people
    folder = out or Path("om") / soc
    in_use = _in_use(config, people)
    _check_outputs(folder, [name for name, _, _ in in_use], [path for _, path, _ in in_use], overwrite)
    networks = {name: _network(name, path, rows, soc) for name, path, rows in in_use}
    _write(folder, networks, soc)
    say(f"wrote {folder}: {', '.join(networks)}, each as .onnx with its card .json, and {SCRIPT}; the lifter is for {_people(people)}")
    if shutil.which("atc"):
        for name, network in networks.items():
            _convert(folder, name, network.command)
    else:
        say(f"there is no atc here: copy {folder} to where CANN's toolkit is, and type there: sh {SCRIPT}")
    say("then copy the .om and .json files to the board, and name their folder there in its config: npu: {folder: ...}")
    if config.detect.model:
        say(f"the config needs detect: {{model: .../{POSE}.om}} there, too")
    if people != wanted:
        say(f"the config needs detect: {{people: {people}}} there, too")


def _chip(soc: Optional[str]) -> str:
    """The chip to convert for: the one asked for, else this machine's."""
    try:
        from poselift.models.convert.atc_command import SOCS
    except ModuleNotFoundError as error:
        raise ModelError(f"the conversion needs the package '{error.name}'; type: pip install 'poselift[convert]'") from None
    known = ", ".join(f"{name} ({board})" if board else name for name, board in SOCS.items())
    if soc is None:
        soc = _own_chip()
        if soc is None:
            raise UserError(f"for which chip? Give --soc and its name: {known}; on a board, 'npu-smi info' tells it")
    if soc not in SOCS:
        raise UserError(f"--soc {soc}: this chip is not known; known are: {known}")
    return soc


def _own_chip() -> Optional[str]:
    """The chip of the NPU in this machine; None where there is none, or CANN does not say."""
    try:
        from poselift.models.backends.pyacl import soc_name
    except ModelError:
        return None
    return soc_name()


def _in_use(config: Config, people: int) -> list[tuple[str, Path, Optional[int]]]:
    """Name, file, and how many people one run is for, where the first axis may be open: every network of the pipeline."""
    found = []
    for it in networks(config.changed(npu={"folder": None})):
        if it.file and (it.file.suffix.lower() != ".onnx" or not it.file.is_file()):
            raise UserError(f"{it.key}: {it.file} is no .onnx file to convert; name one, or null for poselift's own")
        found.append((it.name, it.path(config), {LIFTER: people, POSE: 1}.get(it.name)))
    return found


def _check_outputs(folder: Path, names: Sequence[str], read: Sequence[Path], overwrite: bool) -> None:
    """Raise UserError where the networks that are read would be written over, or files in a folder that has no card of ours."""
    cards = [card_path(folder / f"{name}.om") for name in names]
    files = [card.with_suffix(ending) for card in cards for ending in (".om", ".onnx", ".json", ".atc.log")]
    for file in (*files, folder / SCRIPT):
        keep_apart(file, read)
        if file.exists() and not overwrite and not any(map(_is_card, cards)):
            raise UserError(f"{file}: not written by 'models atc'; name another folder with -o, or give --overwrite")


def _is_card(path: Path) -> bool:
    try:
        read_card(path)
    except ModelError:
        return False
    return True


def _network(name: str, path: Path, people: Optional[int], soc: str) -> Network:
    """Raises ModelError where the file is damaged, is no network of this project, or is one that CANN does not take."""
    from poselift.models.convert.atc_command import command
    from poselift.models.convert.atc_graph import atc_form, host_tensors
    from poselift.models.convert.atc_rules import complaints

    model = _read(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    axes = (dim for value in (*model.graph.input, *model.graph.output) for dim in value.type.tensor_type.shape.dim[1:])
    if not all(dim.dim_value for dim in axes):
        raise ModelError(f"{path}: more than the first axis of its inputs and outputs is open; export it with fixed sizes")
    rows = people
    if people is not None and name == LIFTER:
        try:
            rows = 2 * people if LifterMetadata.read(metadata).flip else people
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
    try:
        form = atc_form(model, rows)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    lines = complaints(form)
    for line in lines:
        say(f"{name}: {line}")
    if lines:
        raise ModelError(f"{path}: CANN does not take this network, for the reason{'s' * (len(lines) > 1)} above; nothing was written")
    content: bytes = form.SerializeToString(deterministic=True)
    inputs, outputs = host_tensors(model.graph.input, rows), host_tensors(model.graph.output, rows)
    card = OmCard(name, soc, inputs, outputs, metadata, hashlib.sha256(content).hexdigest())
    return Network(content, card, command(name, form, soc))


def _read(path: Path) -> Any:
    import onnx

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # onnx and protobuf raise types of their own
        raise ModelError(f"{path}: this ONNX file cannot be read ({str(error).splitlines()[0]})") from None
    return model


def _write(folder: Path, networks: Mapping[str, Network], soc: str) -> None:
    """A converted network that is not of these goes: it would not be what its new card says."""
    from poselift.models.convert.atc_command import script

    try:
        for name, network in networks.items():
            om = folder / f"{name}.om"
            before = card_path(om).read_bytes() if card_path(om).is_file() else b""
            with replacing(om.with_suffix(".onnx")) as part:
                part.write_bytes(network.content)
            write_card(network.card, om)
            if om.exists() and card_path(om).read_bytes() != before:
                om.unlink()
                say(f"removed {om}: it was converted from something else")
        with replacing(folder / SCRIPT) as part:
            part.write_text(script({name: network.command for name, network in networks.items()}, soc), encoding="utf-8")
            part.chmod(0o755)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error}); name another folder with -o") from None


def _convert(folder: Path, name: str, command: Sequence[str]) -> None:
    om, log = folder / f"{name}.om", folder / f"{name}.atc.log"
    om.unlink(missing_ok=True)
    with log.open("w", encoding="utf-8") as output:
        code = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code or not om.is_file() or not om.stat().st_size:
        what = f"left with code {code}" if code else f"wrote no {om.name}"
        raise UserError(f"atc {what} for {name}{_reason(log)}; what it said is in {log}, its own log under ~/ascend/log")
    say(f"converted {om} ({om.stat().st_size / 1e6:.1f} MB)")


def _reason(log: Path) -> str:
    """ATC's own words, which begin with a code such as E10001 or EZ3002."""
    found = re.search(r"^E[0-9A-Z]\d{4}: .*\S", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return f" ({found[0]})" if found else ""


def _people(count: int) -> str:
    return "1 person at a time" if count == 1 else f"{count} people at a time"
