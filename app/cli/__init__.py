"""The `poselift` command. Each command has a file of its own, imported when it is called: a worker must start quickly."""

# No postponed annotations here: on Python 3.9 typer would not see what `Annotated` holds.

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup

from poselift.app.cli.stopping import Stopped, stop_on_signals
from poselift.app.dataflow.streams import WORKERS
from poselift.app.redact import printable
from poselift.common.errors import DeviceError, UserError
from poselift.workers.sources import kinds


class Commands(TyperGroup):
    """All commands; what typer says of a wrong one shows no password that was given in a wrong place."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run what was typed."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(text := getattr(error, "message", None), str):
                error.message = printable(text)  # type: ignore[attr-defined]
            raise


cli = typer.Typer(
    name="poselift",
    cls=Commands,
    help="Live 3D human pose from a camera or a video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
models_cli = typer.Typer(no_args_is_help=True, help="The networks: list them, fetch them, convert others.")
cli.add_typer(models_cli, name="models")
service_cli = typer.Typer(no_args_is_help=True, help="Run the workers as systemd services.")
cli.add_typer(service_cli, name="service")
keys_cli = typer.Typer(no_args_is_help=True, help="Who may look from elsewhere: this machine's key pair and the keys that it admits.")
cli.add_typer(keys_cli, name="keys")
record_cli = typer.Typer(no_args_is_help=True, help="Start and stop a recording on this machine.")
cli.add_typer(record_cli, name="record")

SOURCE_HELP = f"Where the pictures come from: {kinds()}."
ConfigOption = Annotated[
    Optional[Path], typer.Option("--config", metavar="FILE", help="Settings that differ from the defaults in config.yaml.")
]
FpsOption = Annotated[
    Optional[float],
    typer.Option(
        "--fps",
        min=0.001,
        max=1000.0,
        help="Frames per second of a source that does not state it: pictures, a raw .h264, .hevc or .mjpeg, keypoints. Default: 30.",
        show_default=False,
    ),
]
OutOption = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for the results; made if it is missing.")]
UserOption = Annotated[bool, typer.Option("--user", help="Services of your user, not of the system.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print every file and command, change nothing.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace results of another source, too, and files that are no results. Never what is read.")
]
RenderOption = Annotated[bool, typer.Option("--render/--no-render", help="Draw the video, too.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"poselift {version('poselift')}")
        raise typer.Exit


@cli.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@cli.command()
def up(
    source: Annotated[Optional[str], typer.Argument(help=SOURCE_HELP + " Default: the config's.", show_default=False)] = None,
    record: Annotated[Optional[Path], typer.Option("--record", metavar="DIR", help="Record everything to DIR/session.mcap.")] = None,
    seconds: Annotated[Optional[float], typer.Option("--for", metavar="SECONDS", min=0.0, help="Stop after this time.")] = None,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve viewers at the config's serve.address, without one at 127.0.0.1:5570, for this machine alone."),
    ] = False,
    serve_at: Annotated[
        Optional[str], typer.Option("--serve-at", metavar="HOST:PORT", help="Serve viewers there, such as at 0.0.0.0:5570.")
    ] = None,
    view: Annotated[bool, typer.Option("--view", help="Serve as --serve does, and open a window beside the pipeline.")] = False,
    config: ConfigOption = None,
) -> None:
    """Run every worker on this machine, live, until the source ends or Ctrl-C.

    The newest frame wins; what is skipped is counted. Programs on this machine read the poses with `poselift.connect()`, programs elsewhere
    with `poselift.connect("HOST")` if viewers are served.
    """
    from poselift.app.cli.up import up

    up(source, record, seconds, serve, serve_at, view, config)


@cli.command()
def run(
    worker: Annotated[str, typer.Argument(help=f"One of: {', '.join(WORKERS)}.")],
    config: ConfigOption = None,
) -> None:
    """Run one worker in this process, as a service manager does."""
    from poselift.app.cli.run import run

    run(worker, config)


@cli.command()
def lift(
    source: Annotated[
        str, typer.Argument(metavar="VIDEO|KEYPOINTS.npz", help="A video (or folder of pictures, or recording), or 2D keypoints.")
    ],
    out: OutOption,
    render: RenderOption = True,
    fps: FpsOption = None,
    lifter: Annotated[Optional[Path], typer.Option("--lifter", metavar="FILE.onnx", help="The lifter. Default: the config's.")] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirror image's poses; symmetric lifters only.")] = False,
    overwrite: OverwriteOption = False,
    config: ConfigOption = None,
) -> None:
    """Lift every frame of a file, as fast as it goes, to DIR/poses.npz, and draw DIR/poses.mp4.

    KEYPOINTS.npz is a custom 2D dataset in VideoPose3D's format; each of its videos gives DIR/NAME/poses.npz. A causal lifter works on a
    file as it does live. A symmetric one looks ahead, as published, so no pose is late.
    """
    from poselift.app.cli.reporting import reporting
    from poselift.app.offline.lift import lift

    with reporting() as bar:
        lift(source, out, render=render, fps=fps, lifter=lifter, flip=flip, overwrite=overwrite, config=config, progress=bar)


@cli.command()
def detect(
    source: Annotated[str, typer.Argument(metavar="VIDEO", help="A video, a folder of pictures or a recording.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="KEYPOINTS.npz", help="File for the keypoints.")],
    fps: FpsOption = None,
    overwrite: OverwriteOption = False,
    config: ConfigOption = None,
) -> None:
    """Find the 2D keypoints in a video, and write them as a custom 2D dataset in VideoPose3D's format.

    It has one person a video: of several, who was seen in the most frames. 'poselift lift' gives all of them.
    """
    from poselift.app.cli.reporting import reporting
    from poselift.app.offline.detect import detect

    with reporting() as bar:
        detect(source, out, fps=fps, overwrite=overwrite, config=config, progress=bar)


@cli.command()
def evaluate(
    keypoints: Annotated[Path, typer.Option("--keypoints", metavar="FILE", help="The detections: data_2d_h36m_*.npz.")],
    positions: Annotated[Path, typer.Option("--positions", metavar="FILE", help="The truth: data_3d_h36m.npz.")],
    dataset: Annotated[str, typer.Option("--dataset", metavar="NAME", help="h36m: Human3.6M as VideoPose3D prepares it.")] = "h36m",
    lifter: Annotated[Optional[Path], typer.Option("--lifter", metavar="FILE.onnx", help="The lifter. Default: the config's.")] = None,
    subjects: Annotated[str, typer.Option("--subjects", metavar="S1,S5,...", help="The subjects.")] = "S9,S11",
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirror image's poses; symmetric lifters only.")] = False,
    json_path: Annotated[Optional[Path], typer.Option("--json", metavar="FILE", help="Write the figures to this file, too.")] = None,
    overwrite: OverwriteOption = False,
    config: ConfigOption = None,
) -> None:
    """Measure a lifter by the published protocols, action by action, on a dataset that you have."""
    from poselift.app.cli.evaluate import evaluate

    evaluate(dataset, keypoints, positions, subjects, lifter, flip, json_path, overwrite, config)


@cli.command()
def export(
    recording: Annotated[Path, typer.Argument(metavar="SESSION.mcap", help="A recording, also one that was never closed.")],
    out: OutOption,
    render: RenderOption = True,
    overwrite: OverwriteOption = False,
    config: ConfigOption = None,
) -> None:
    """Write the poses of a recording to DIR/poses.npz, and draw DIR/poses.mp4."""
    from poselift.app.cli.reporting import reporting
    from poselift.app.offline.export import export

    with reporting() as bar:
        export(recording, out, render=render, overwrite=overwrite, config=config, progress=bar)


@cli.command()
def view(
    target: Annotated[
        Optional[str],
        typer.Argument(metavar="HOST|FILE.mcap", help="A board that serves, or a recording. Default: this machine.", show_default=False),
    ] = None,
    full: Annotated[bool, typer.Option("--full-screen", help="Begin in full screen.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="If nothing runs on this machine yet, wait for it.")] = False,
    config: ConfigOption = None,
) -> None:
    """Open a window: the picture with its keypoints, the people in 3D. Press ? in it for its keys.

    Needs `pip install 'poselift[view]'`, a display and OpenGL. However slow the window is, the board does not wait for it.
    """
    from poselift.app.cli.view import view

    view(target, full, wait, config)


@cli.command()
def status(config: ConfigOption = None) -> None:
    """Show how the workers on this machine are."""
    from poselift.app.cli.status import status

    status(config)


@cli.command()
def stop(config: ConfigOption = None) -> None:
    """Stop the pipeline on this machine, in order, as Ctrl-C in its terminal does."""
    from poselift.app.cli.stop import stop

    stop(config)


@cli.command()
def doctor(config: ConfigOption = None) -> None:
    """Check this machine: what is here, what is missing, what to type."""
    from poselift.app.cli.doctor import doctor

    doctor(config)


@cli.command()
def config(path: Annotated[Optional[Path], typer.Argument(metavar="[FILE]", help="A config file to check.")] = None) -> None:
    """Print every setting with its unit and default, or check a config file."""
    from poselift.app.cli.config import config

    config(path)


@cli.command(hidden=True)
def acl_probe(device: int, files: Annotated[Optional[list[Path]], typer.Argument()] = None) -> None:
    """What pyACL says of a device and of networks, as a line of JSON: what doctor asks in a process of its own."""
    import json

    from poselift.app.cli.doctor.acl_probe import ask

    print("\n" + json.dumps(ask(device, files or [])))


@cli.command()
def demo(out: OutOption = Path("out/demo"), overwrite: OverwriteOption = False, config: ConfigOption = None) -> None:
    """Run the live pipeline on a real video at its own pace; write a recording, the poses and a video of them."""
    from poselift.app.cli.demo import demo

    demo(out, overwrite, config)


@models_cli.command("list")
def models_list(config: ConfigOption = None) -> None:
    """List every network and clip: licence, source, and whether it is there."""
    from poselift.app.cli.models import list_models

    list_models(config)


@models_cli.command("pull")
def models_pull(config: ConfigOption = None) -> None:
    """Fetch what is missing from its publisher, check it, and convert it."""
    from poselift.app.cli.models import pull_models

    pull_models(config)


@models_cli.command("convert")
def models_convert(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT.bin", help="A PyTorch file with model_pos, zip or the older form.")],
    architecture: Annotated[
        str, typer.Option("--architecture", metavar="3,3,3,3,3", help="Filter width of each layer, first layer first.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.onnx", help="File for the lifter.")],
    causal: Annotated[bool, typer.Option("--causal", help="The network was trained as a causal one; the file does not say.")] = False,
    rate: Annotated[str, typer.Option("--rate", metavar="HZ", help="Frame rate that it was trained on; Human3.6M has 50.")] = "50",
    overwrite: OverwriteOption = False,
) -> None:
    """Convert a VideoPose3D checkpoint to a lifter, for `poselift lift --lifter` and `lift.model`.

    It must take 17 keypoints in COCO order, as pretrained_h36m_detectron_coco.bin does. The weights published with VideoPose3D are licensed
    CC BY-NC 4.0: not for commercial use. No code in the file is ever run. A causal network runs live without delay; a symmetric one runs on
    files as published, and live half its receptive field late.
    """
    from poselift.app.cli.models import convert_model

    convert_model(checkpoint, architecture, causal, rate, out, overwrite)


@models_cli.command("atc")
def models_atc(
    soc: Annotated[
        Optional[str],
        typer.Option("--soc", metavar="CHIP", help="Ascend310, Ascend310B1 or Ascend310B4. Default: this machine's.", show_default=False),
    ] = None,
    people: Annotated[
        Optional[int], typer.Option("--people", min=1, max=16, help="People followed at a time. Default: the config's.", show_default=False)
    ] = None,
    out: Annotated[
        Optional[Path], typer.Option("-o", "--out", metavar="DIR", help="Folder for the results. Default: om/CHIP.", show_default=False)
    ] = None,
    overwrite: OverwriteOption = False,
    config: ConfigOption = None,
) -> None:
    """Prepare every network in use for an Ascend NPU, and convert it if CANN's `atc` is on the path.

    DIR gets each network as ATC takes it (.onnx), its card (.json), and convert.sh with the exact commands. A board needs the .om and .json
    files, and npu.folder in its config.
    """
    from poselift.app.cli.atc import atc

    atc(soc, people, out, overwrite, config)


@service_cli.command("install")
def service_install(user: UserOption = False, dry_run: DryRunOption = False, config: ConfigOption = None) -> None:
    """Make a systemd service of every worker that the config runs.

    `systemctl enable --now poselift.target` then starts them, at every boot too. If CANN's set_env.sh was sourced before, the
    services get its environment.
    """
    from poselift.app.cli.service import install

    install(user, dry_run, config)


@service_cli.command("uninstall")
def service_uninstall(user: UserOption = False, dry_run: DryRunOption = False) -> None:
    """Stop the services and remove what install made. Recordings stay."""
    from poselift.app.cli.service import uninstall

    uninstall(user, dry_run)


@record_cli.command("start")
def record_start(config: ConfigOption = None) -> None:
    """Begin a new recording, NAME-TIME.mcap in record.folder, while the pipeline runs."""
    from poselift.app.cli.record import start

    start(config)


@record_cli.command("stop")
def record_stop(config: ConfigOption = None) -> None:
    """End the recording: its file is closed, and can be read while the pipeline goes on."""
    from poselift.app.cli.record import stop

    stop(config)


@keys_cli.command("new")
def keys_new(
    name: Annotated[
        Optional[str], typer.Option("--name", help="What others are to call this machine. Default: its host name.", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make this machine's key pair, to look at boards and to serve viewers, and print what to type on the other machine."""
    from poselift.app.cli.keys import new

    new(name, config)


@keys_cli.command("show")
def keys_show(config: ConfigOption = None) -> None:
    """Print what to type on the other machine, and who is admitted here, since when and for what."""
    from poselift.app.cli.keys import show

    show(config)


@keys_cli.command("admit")
def keys_admit(
    word: Annotated[
        str, typer.Argument(metavar="viewer:NAME:KEY|board:NAME:KEY", help="As `poselift keys show` prints it on the other machine.")
    ],
    control: Annotated[bool, typer.Option("--control", help="Let this viewer start and stop recordings, too.")] = False,
    name: Annotated[
        Optional[str], typer.Option("--name", help="What to call it here, such as its address. Default: NAME.", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Let a viewer look at what this machine serves, or trust a board that it looks at. A running `serve` hears of it at once."""
    from poselift.app.cli.keys import admit

    admit(word, control, name, config)


@keys_cli.command("revoke")
def keys_revoke(
    who: Annotated[str, typer.Argument(metavar="NAME|KEY", help="As it was admitted.")],
    config: ConfigOption = None,
) -> None:
    """Stop trusting a viewer or a board. One that is connected is cut off within a second."""
    from poselift.app.cli.keys import revoke

    revoke(who, config)


def main() -> None:
    """The command. A user's mistake is one line and exit code 2, a run that failed midway one line and exit code 1, one that was
    told to stop one line and 128 + the signal's number."""
    stop_on_signals()
    try:
        _check_arguments(sys.argv[1:])
        cli()
    except Stopped as stopped:
        sys.exit(_say(str(stopped), 128 + stopped.number))
    except UserError as error:
        sys.exit(_say(str(error), 2))
    except DeviceError as error:
        sys.exit(_say(str(error), 1))
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # such as a disk that is full
        sys.exit(_say(f"{error.filename or 'the system'}: {error.strerror or error}", 1))


def _check_arguments(arguments: list[str]) -> None:
    """Raise UserError for what no command can mean: nothing, which a path would take for this folder, and names that no text can hold."""
    for argument in arguments:
        if not argument:
            raise UserError("an argument is empty; is a variable of the shell not set?")
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            raise UserError(f"{argument}: this name is not UTF-8; rename it, or give a link to it")


def _say(line: str, code: int) -> int:
    print(f"poselift: {printable(line)}", file=sys.stderr)
    return code
