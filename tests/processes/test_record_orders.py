"""Recordings begun and ended while the pipeline runs: whole, nothing lost, and seen from outside."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from pipeline_run import Running, poselift, running

from poselift.app.dataflow.messages import Frame, Health, Pose2D, Pose3D, encode
from poselift.app.processes.control import ENDING
from poselift.app.recording.parts import parts
from poselift.app.recording.reader import read


def ordered(command: str, config: Path) -> str:
    """The one line that is said to an order that was carried out."""
    done = poselift("record", command, "--config", config)
    assert done.returncode == 0 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


def refused(command: str, config: Path) -> str:
    """The one line that is said to an order that was not."""
    done = poselift("record", command, "--config", config)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("poselift: "), done.stderr
    return done.stderr.strip()


def until_more_poses(pipeline: Running, count: int) -> None:
    here = len(pipeline.messages)
    pipeline.until(lambda messages: sum(isinstance(message, Pose3D) for message in messages[here:]) >= count, f"{count} more poses")


def until_poses_since(pipeline: Running, since_ns: int, count: int) -> None:
    """Wait for so many poses that were made since then: what waited to be read here meanwhile may be older."""
    pipeline.until(
        lambda messages: sum(isinstance(message, Pose3D) and message.trace[-1].done_ns >= since_ns for message in messages) >= count,
        f"{count} poses since",
    )


def last_health(pipeline: Running, worker: str) -> Health:
    """What a worker says next."""
    here = len(pipeline.messages)
    found = pipeline.until(
        lambda messages: [message for message in messages[here:] if isinstance(message, Health) and message.worker == worker],
        f"a word from {worker}",
    )
    return found[-1]


def test_nothing_is_lost_between_the_answers_and_the_file_is_whole_at_once(configure, tmp_path: Path) -> None:
    path, config = configure(record={"folder": str(tmp_path / "rec"), "min_free_mb": 0, "start": False})
    with running(config, path, "test:320x240@30") as pipeline:
        until_more_poses(pipeline, 5)
        assert not (tmp_path / "rec").exists()
        first = Path(ordered("start", path).removeprefix("started "))
        begun_ns = time.monotonic_ns()
        assert re.fullmatch(r"session-\d{8}T\d{6}Z\.mcap", first.name)
        until_poses_since(pipeline, begun_ns, 20)
        assert f"already recording {first}" in refused("start", path)
        assert last_health(pipeline, "record").recording == first.name
        shown = poselift("status", "--config", path)
        assert f"recording {first.name}" in shown.stdout
        until_poses_since(pipeline, begun_ns, 40)
        ending_ns = time.monotonic_ns()
        said = ordered("stop", path)

        notes: list[str] = []
        recorded = list(read(first, note=notes.append))
        assert notes == []
        frames = [message.frame for message in recorded if isinstance(message, Frame)]
        assert frames == list(range(frames[0], frames[0] + len(frames)))
        assert said == f"stopped {first}, {len(frames)} frames"
        until_poses_since(pipeline, time.monotonic_ns(), 1)  # what was sent until then has come here too
        sent = [
            message
            for message in pipeline.messages
            if isinstance(message, (Pose2D, Pose3D)) and begun_ns <= message.trace[-1].done_ns <= ending_ns
        ]
        assert sum(isinstance(message, Pose3D) for message in sent) >= 40 and {type(message) for message in sent} == {Pose2D, Pose3D}
        found = {encode(message) for message in recorded}
        assert [message.frame for message in sent if encode(message) not in found] == []
        assert {message.frame for message in sent if message.trace[0].received_ns >= begun_ns} <= set(frames)

        assert "not recording" in refused("stop", path)
        second = Path(ordered("start", path).removeprefix("started "))
        until_more_poses(pipeline, 5)
        assert parts(first) == [first] and second != first
        pipeline.process.send_signal(signal.SIGINT)
        last_words = pipeline.until(
            lambda messages: [it for it in messages if isinstance(it, Health) and it.worker == "record" and it.state == ENDING],
            "the recorder's last word",
        )
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert f"recorded to {first}\n" in output and f"recorded to {second}\n" in output
    assert "not accounted for" not in output
    bare = sum(frame.encoding == "none" for path in (first, second) for frame in read(path, [Frame]))
    assert last_words[0].drops == ({"overwritten": bare} if bare else {}), "on a busy machine pictures may be"
    assert list(read(second, [Pose3D], note=notes.append)) and notes == []
    done = poselift("export", first, "-o", tmp_path / "out", "--no-render")
    assert done.returncode == 0, done.stderr


def test_a_recorder_that_is_killed_goes_on_as_it_was_told(configure, tmp_path: Path) -> None:
    path, config = configure(record={"folder": str(tmp_path / "rec"), "min_free_mb": 0})
    with running(config, path, "test:320x240@30") as pipeline:
        until_more_poses(pipeline, 5)
        ordered("stop", path)
        pipeline.kill("record")
        assert last_health(pipeline, "record").recording == "", "it was off"
        session = Path(ordered("start", path).removeprefix("started "))
        until_more_poses(pipeline, 30)
        pipeline.kill("record")
        assert last_health(pipeline, "record").recording == session.name
        until_more_poses(pipeline, 30)
        assert re.fullmatch(rf"stopped {session}, \d+ frames since the recorder came back", ordered("stop", path))
        assert len(parts(session)) == 2
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert not config.runtime_path().exists()
    assert {file.name for file in (tmp_path / "rec").iterdir()} == {"session.mcap", *(part.name for part in parts(session))}


def test_where_nothing_records_the_answer_says_what_to_set(configure) -> None:
    path, config = configure()
    assert "no poselift is running here" in refused("start", path)
    with running(config, path, "test:64x64@30") as pipeline:
        pipeline.pid("lift")
        assert "set record.folder in the config" in refused("start", path)


@pytest.mark.parametrize("trouble", ["full", "no folder"])
def test_a_recording_that_cannot_begin_is_one_line_and_the_poses_go_on(configure, tmp_path: Path, trouble: str) -> None:
    (tmp_path / "file").touch()
    changes, words = {
        "full": ({"folder": str(tmp_path / "rec"), "min_free_mb": 10**9}, "less than 1000000000 MB free"),
        "no folder": ({"folder": str(tmp_path / "file" / "rec"), "min_free_mb": 0}, f"{tmp_path / 'file' / 'rec'}"),
    }[trouble]
    path, config = configure(record={"start": False, **changes})
    with running(config, path, "test:64x64@30") as pipeline:
        before = pipeline.pid("record")
        assert words in refused("start", path)
        until_more_poses(pipeline, 3)
        assert pipeline.pid("record") == before
