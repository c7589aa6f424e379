"""What a user may get wrong: one clear line, exit code 2 where nothing could run, 0 with a warning where a part was done."""

from __future__ import annotations

import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from made_video import numbered, write_video
from pipeline_run import poselift, running, write_config

from poselift.app.dataflow.messages import Frame, Pose3D
from poselift.app.keypoints.files import Clip, read_keypoints, write_keypoints
from poselift.app.recording.reader import read
from poselift.models import store


def refused(*arguments: object) -> str:
    """The one line of a command that must refuse with exit code 2."""
    done = poselift(*arguments)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("poselift: "), done.stderr
    return lines[0]


@pytest.mark.parametrize("command", ["up", "lift -o {out}", "detect -o {out}.npz"])
def test_a_source_that_is_not_there(configure, tmp_path: Path, command: str) -> None:
    path, _ = configure()
    name, *rest = command.format(out=tmp_path / "out").split()
    line = refused(name, tmp_path / "missing.mp4", *rest, "--config", path)
    assert f"{tmp_path / 'missing.mp4'}: no such file" in line
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    "typed",
    [
        "lift {address} -o {out}",
        "detect {address} -o {out}.npz",
        "export {address} -o {out}",
        "view {address}",
        "{address}",
        "up 0 {address}",
        "lift a.mp4 -o {out} --fps {address}",
        "record start {address}",
    ],
)
def test_a_password_in_whatever_place_is_not_shown(tmp_path: Path, typed: str) -> None:
    done = poselift(*typed.format(address="RTSP://me:secret@127.0.0.1:9/stream", out=tmp_path / "out").split())
    assert done.returncode == 2 and "secret" not in done.stdout + done.stderr, done


@pytest.mark.parametrize("typed", ["lift,,-o,{out}", "lift,a.mp4,-o,", "export,,-o,{out}", "up,", "up,test:64x64@30,--record,"])
def test_an_empty_argument_is_not_this_folder(tmp_path: Path, typed: str) -> None:
    assert "an argument is empty" in refused(*typed.format(out=tmp_path / "out").split(","))


def test_strange_names_are_one_line_each(tmp_path: Path) -> None:
    assert r"a\nb\x1b[31m.mp4: no such file" in refused("lift", "a\nb\x1b[31m.mp4", "-o", tmp_path / "out")
    assert r"\udcff.mp4: this name is not UTF-8" in refused("lift", "\udcff.mp4", "-o", tmp_path / "out")


def test_a_source_that_cannot_be_opened_says_why(configure, tmp_path: Path) -> None:
    path, _ = configure()
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    silent = tmp_path / "empty.avi"
    cv2.VideoWriter(str(silent), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 64)).release()
    for source, words in [(text, "not a video"), (silent, "no picture|not a video|empty")]:
        line = refused("lift", source, "-o", tmp_path / "out", "--config", path)
        assert str(source) in line and any(word in line for word in words.split("|")), line
    assert not (tmp_path / "out").exists()


def test_a_camera_that_does_not_exist(configure) -> None:
    path, _ = configure()
    line = refused("up", "97", "--config", path)
    assert "97" in line and "camera" in line


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"capture": {"sorce": "0"}}, ("unknown key capture.sorce", "known here: source")),
        ({"detect": {"threads": "two"}}, ("detect.threads", "'two'", "integer")),
        ({"lift": {"body_height_m": 17}}, ("lift.body_height_m", "17", "less than or equal to 3")),
        ({"mode": "fast"}, ("mode", "'fast'", "'live' or 'file'")),
    ],
)
def test_a_wrong_setting_names_key_value_and_what_is_allowed(tmp_path: Path, tree: dict[str, Any], words: tuple[str, ...]) -> None:
    line = refused("up", "test:64x64@30", "--config", write_config(tmp_path / "config.yaml", tree))
    assert all(word in line for word in words), line


def test_an_address_that_is_taken(configure, runtime_folder: Path) -> None:
    path, config = configure()
    config.runtime_path().mkdir()
    (config.runtime_path() / "lift.Pose3D").mkdir()  # ZeroMQ would quietly take over a file or another's socket
    line = refused("up", "test:64x64@30", "--config", path)
    assert "lift.Pose3D" in line and "in use" in line


def test_a_worker_that_is_running_already(configure) -> None:
    path, config = configure()
    with running(config, path, "test:64x64@30") as pipeline:
        pid = pipeline.pid("lift")
        line = refused("run", "lift", "--config", path)
        assert f"the worker lift is already running here (process {pid}" in line


@pytest.mark.parametrize("how", ["missing", "changed"])
def test_a_network_that_is_missing_or_changed(configure, tmp_path: Path, how: str) -> None:
    models = tmp_path / "models"
    if how == "changed":
        shutil.copytree(store.default_folder(), models)
        network = models / "blazepose_landmarks.onnx"
        data = bytearray(network.read_bytes())
        data[len(data) // 2] ^= 1
        network.write_bytes(data)
    path, _ = configure(models_folder=str(models))
    if how == "changed":
        line = refused("up", "test:64x64@30", "--config", path)
    else:  # of a file, capture waits for detect, which does not come
        line = refused("lift", write_video(tmp_path / "a.mp4", numbered(8)), "-o", tmp_path / "out", "--config", path)
    assert "poselift models pull" in line and str(models) in line
    assert how == "missing" or "sha256" in line


class Malice:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "it ran")


def test_a_malicious_keypoint_file_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    file = tmp_path / "keypoints.npz"
    np.savez(file, positions_2d=np.array({"a": Malice(ran)}, object), metadata=np.array({}, object))
    line = refused("lift", file, "-o", tmp_path / "out", "--no-render")
    assert str(file) in line and not ran.exists() and not (tmp_path / "out").exists()
    assert pickle.loads(pickle.dumps(Malice(ran))) and ran.exists(), "the malice would not have worked anyway"


def test_detections_of_nobody_are_no_poses_and_a_warning(tmp_path: Path) -> None:
    nobody = [[[], []]] * 9
    metadata = np.array({"w": 640, "h": 360}, object)
    np.savez(tmp_path / "NOBODY.NPZ", boxes=nobody, keypoints=nobody, metadata=metadata)
    (tmp_path / "NOBODY.NPZ.npz").rename(tmp_path / "NOBODY.NPZ")  # numpy knows no capitals
    done = poselift("lift", tmp_path / "NOBODY.NPZ", "-o", tmp_path / "out")
    assert done.returncode == 0 and "warning: nobody was seen in any of the 9 frames of NOBODY" in done.stderr, done
    assert len(np.load(tmp_path / "out" / "NOBODY" / "poses.npz")["frame"]) == 0
    assert (tmp_path / "out" / "NOBODY" / "poses.mp4").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    keypoints = tmp_path / "keypoints.npz"
    write_keypoints(keypoints, [Clip("walk", np.full((3, 17, 3), 9, np.float32), 640, 480, 30.0)])
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert str(taken) in refused("lift", keypoints, "-o", taken / "out", "--no-render")
    assert str(taken) in refused("lift", "test:64x64@30,frames=3", "-o", taken / "out", "--no-render")


def test_a_disk_that_fills_while_lifting_is_a_failure_and_says_what_is_kept(configure, full_disk: Path) -> None:
    path, _ = configure()
    (full_disk / "filler").write_bytes(bytes(4_160_000))
    done = poselift("lift", "test:64x64@30,frames=60", "-o", full_disk / "out", "--no-render", "--config", path)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("poselift: ")]
    assert any(str(full_disk) in line and ("disk is full" in line or "No space left" in line) for line in said), done.stderr


def test_a_truncated_video_is_processed_as_far_as_it_goes(configure, tmp_path: Path) -> None:
    path, _ = configure()
    video = write_video(tmp_path / "cut.avi", numbered(60))
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    done = poselift("lift", video, "-o", tmp_path / "out", "--no-render", "--config", path)
    assert done.returncode == 0, done.stderr
    assert "warning: truncated: " in done.stderr and "of about 60 frames" in done.stderr
    count = sum(isinstance(message, Pose3D) for message in read(tmp_path / "out" / "poses.mcap"))
    assert 0 < count < 60 and f"truncated: {count} of about 60" in done.stderr
    assert (tmp_path / "out" / "poses.npz").exists()


def test_pictures_that_cannot_be_read_keep_their_numbers_and_are_counted(configure, tmp_path: Path) -> None:
    path, _ = configure()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(numbered(6)):
        cv2.imwrite(str(folder / f"{number}.jpg"), pixels)
        if number in (0, 2, 5):
            (folder / f"{number}.jpg").write_bytes((folder / f"{number}.jpg").read_bytes()[:2000])
    done = poselift("lift", folder, "-o", tmp_path / "out", "--config", path)
    assert done.returncode == 0, done.stderr
    (warning,) = (line for line in done.stderr.splitlines() if "wrote" not in line)
    assert warning == "warning: 3 of 6 pictures could not be read whole and are left out (the first: 0.jpg)"
    poses = [message for message in read(tmp_path / "out" / "poses.mcap", [Pose3D]) if isinstance(message, Pose3D)]
    assert [(pose.frame, pose.t_ns, pose.skipped) for pose in poses] == [
        (1, 33_333_333, {"damaged": 1}),
        (3, 100_000_000, {"damaged": 1}),
        (4, 133_333_333, {}),
    ]
    with av.open(str(tmp_path / "out" / "poses.mp4")) as video:
        assert [round(frame.time * 30) for frame in video.decode(video=0)] == [0, 2, 3]
    done = poselift("up", folder, "--config", path)
    assert done.returncode == 0 and "6 frames captured" in done.stdout and "3 damaged" in done.stdout, done.stdout
    assert "accounted" not in done.stdout and "died" not in done.stdout, done.stdout


def test_every_frame_has_its_row_of_keypoints_in_pixels_of_the_first_picture(configure, clip_pictures: Path, tmp_path: Path) -> None:
    path, _ = configure()
    names = sorted(clip_pictures.iterdir())[:30]
    for spare in set(clip_pictures.iterdir()) - set(names):
        spare.unlink()

    def detected() -> tuple[np.ndarray, str]:
        done = poselift("detect", clip_pictures, "-o", tmp_path / "k.npz", "--overwrite", "--config", path)
        assert done.returncode == 0, done.stderr
        (clip,) = read_keypoints(tmp_path / "k.npz")
        return clip.keypoints, done.stderr

    plain, said = detected()
    assert "warning" not in said
    for place in range(15, 30, 2):
        cv2.imwrite(str(names[place]), cv2.resize(cv2.imread(str(names[place])), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    names[20].write_bytes(names[20].read_bytes()[:999])
    mixed, said = detected()
    height, width = cv2.imread(str(names[0])).shape[:2]
    assert f"warning: pictures of 2 sizes; all keypoints are in pixels of the first, {width}x{height}" in said
    assert "1 of 30 pictures could not be read whole" in said
    assert len(mixed) == len(plain) == 30
    body_px = np.ptp(plain[29, :, 1])
    assert body_px > height / 5
    away_px = np.linalg.norm(mixed[15:, :, :2] - plain[15:, :, :2], axis=-1).mean(-1)
    assert np.mean(away_px < 0.2 * body_px) > 0.9, away_px / body_px  # in pixels of the large ones they would be off by more than a body


def test_a_pause_of_hours_is_drawn_as_long_as_it_is(configure, tmp_path: Path) -> None:
    path, _ = configure()
    right_ms = [0, 40, 80, 36_000_000, 36_000_040]
    video = write_video(tmp_path / "a.mkv", numbered(5), right_ms)
    done = poselift("lift", video, "-o", tmp_path / "out", "--config", path)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert [pose.t_ns // 10**6 for pose in read(tmp_path / "out" / "poses.mcap", [Pose3D]) if isinstance(pose, Pose3D)] == right_ms
    with av.open(str(tmp_path / "out" / "poses.mp4")) as drawn:
        assert [round(frame.time * 1000) for frame in drawn.decode(video=0)] == right_ms


def test_a_rate_is_heeded_where_the_file_states_none_and_refused_where_it_does(configure, tmp_path: Path) -> None:
    path, _ = configure()
    raw, timed = tmp_path / "raw.mjpeg", write_video(tmp_path / "timed.mp4", numbered(3))
    write_video(raw, numbered(6), codec="mjpeg", pixel_format="yuvj420p")
    out = tmp_path / "out"
    assert "timed.mp4 has times of its own, about 25 frames a second; leave --fps out" in refused("lift", timed, "-o", out, "--fps", 50)
    assert "leave --fps out" in refused("detect", timed, "-o", tmp_path / "k.npz", "--fps", 50)
    assert not out.exists()
    done = poselift("lift", raw, "-o", out, "--no-render", "--fps", 0.01, "--config", path)
    assert done.returncode == 0 and "states no rate" not in done.stderr, done.stderr
    assert [message.t_ns for message in read(out / "poses.mcap", [Pose3D])] == [n * 10**11 for n in range(6)]
    write_keypoints(tmp_path / "k.npz", [Clip("walk", np.full((3, 17, 3), 9, np.float32), 640, 480, 50.0)])
    line = refused("lift", tmp_path / "k.npz", "-o", out, "--fps", 40)
    assert "k.npz states its own rate, 50 frames a second; leave --fps out" in line


def test_a_disk_that_fills_closes_the_recording_and_the_poses_go_on(configure, full_disk: Path) -> None:
    room = {"capture": {"ring_slots": 64}, "bus": {"queue": 100}}  # a busy machine records pictures enough to fill the disk, too
    path, _ = configure(record={"folder": str(full_disk / "rec"), "min_free_mb": 1, "pictures": "png"}, **room)
    done = poselift("up", "test:640x480@30,frames=60", "--config", path)
    assert done.returncode == 0, done.stderr
    assert "the recording is closed" in done.stderr
    assert "60 frames captured" in done.stdout
    recorded = list(read(full_disk / "rec" / "session.mcap"))
    assert 0 < sum(isinstance(message, Frame) for message in recorded) < 60
    (lifted,) = map(int, re.findall(r"(\d+) lifted", done.stdout))
    assert sum(isinstance(message, Pose3D) for message in recorded) < lifted
