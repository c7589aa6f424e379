"""The network in torch, its training and its export: small, seeded, on made-up people; and the weights that are shipped."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install poselift[train]")
onnxruntime = pytest.importorskip("onnxruntime")

from bench.plain_network import lift_sequence  # noqa: E402
from poselift.common.errors import ModelError  # noqa: E402
from poselift.models.lifting.lifter_metadata import LifterMetadata  # noqa: E402
from poselift.models.lifting.temporal import filter_widths, receptive_field  # noqa: E402
from poselift.models.training import train as training  # noqa: E402
from poselift.models.training.ahead import BatchesAhead  # noqa: E402
from poselift.models.training.batches import make_batch  # noqa: E402
from poselift.models.training.curves import draw_curves  # noqa: E402
from poselift.models.training.export import export  # noqa: E402
from poselift.models.training.motion import Motion  # noqa: E402
from poselift.models.training.network import Network, Prediction, to_weights  # noqa: E402
from poselift.models.training.train import HISTORY, Settings, Trainer, calibrate, draw, learning_rate, loss, train, validate  # noqa: E402

SMALL = Settings(steps=20, channels=24, sequences=8, outputs=4, learning_rate=3e-3, warm_up=2, bfloat16=False)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def motion() -> Motion:
    """Two people who stand in the middle of nowhere and wave all their joints a little."""
    standing = [
        (0, 0, 0.95), (0.1, 0, 0.95), (0.1, 0.02, 0.52), (0.1, 0, 0.1), (-0.1, 0, 0.95), (-0.1, 0.02, 0.52), (-0.1, 0, 0.1),
        (0, 0, 1.18), (0, 0, 1.42), (0, 0.02, 1.55), (0, 0.03, 1.72),
        (-0.2, 0, 1.42), (-0.25, 0, 1.12), (-0.25, 0.1, 0.9), (0.2, 0, 1.42), (0.25, 0, 1.12), (0.25, 0.1, 0.9),
    ]  # fmt: skip
    rng = np.random.default_rng(5)
    time = np.arange(400)[:, None, None] / 10
    sway = 0.05 * np.sin(time * rng.uniform(0.5, 2, (17, 3)) + rng.uniform(0, 6, (17, 3)))
    joints = (np.array(standing) + sway).astype(np.float32)
    return Motion(joints, np.array([0, 200]), np.array([200, 200]), np.array([30, 30], np.float32), ("a/1_1", "a/2_1"))


def random_network(channels: int = 24) -> Network:
    """With nothing left at zero."""
    network = Network(channels, seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor += 0.05 * torch.randn(tensor.shape, generator=generator)
    return network


def test_the_network_is_the_one_that_runs() -> None:
    """Against the plain form over whole sequences, edge padding included."""
    network = random_network()
    weights = to_weights(network)
    assert receptive_field(weights) == 27
    assert filter_widths(weights) == (3, 3, 3, 1, 1, 1)
    features = np.random.default_rng(0).normal(size=(40, 67)).astype(np.float32)
    padded = np.concatenate([np.repeat(features[:1], HISTORY, 0), features])[None]
    with torch.no_grad():
        poses, log_spread = (values.numpy()[0] for values in network(torch.from_numpy(padded)))
    assert poses.shape == (40, 17, 3)
    outputs = lift_sequence(weights, features)
    np.testing.assert_allclose(outputs.pose.reshape(40, 17, 3), poses, atol=1e-4)
    np.testing.assert_allclose(np.log(outputs.sigma).reshape(40, 17, 3), log_spread, atol=1e-4)
    assert np.ptp(log_spread) > 0.1
    assert np.abs(poses[:, 1:]).mean() > 0.1
    np.testing.assert_array_equal(poses[:, 0], 0)


def test_an_output_knows_27_columns_and_none_later() -> None:
    network = random_network()
    features = np.random.default_rng(0).normal(size=(1, HISTORY + 10, 67)).astype(np.float32)
    with torch.no_grad():
        before = network(torch.from_numpy(features)).poses.numpy()
        features[0, 30] += 1
        changed = np.abs(network(torch.from_numpy(features)).poses.numpy() - before).max((0, 2, 3)) > 0
    np.testing.assert_array_equal(changed, np.arange(10) >= 30 - HISTORY)
    with torch.no_grad():
        features[0, 0] += 1
        moved = network(torch.from_numpy(features)).poses.numpy()
    features[0, 0] -= 1
    with torch.no_grad():
        np.testing.assert_array_equal(
            np.abs(moved - network(torch.from_numpy(features)).poses.numpy()).max((0, 2, 3)) > 0, np.arange(10) == 0
        )


def test_the_linear_path_starts_as_the_ridge_regression_of_the_newest_three_columns(motion: Motion) -> None:
    batch = make_batch(motion, np.random.default_rng(0), 64, 4, HISTORY)
    network = Network(8, seed=0)
    network.start_linear(batch.features, batch.poses, penalty=0.5)
    columns = [np.concatenate([*sequence[t - 2 : t + 1], [1]]) for sequence in batch.features for t in range(HISTORY, HISTORY + 4)]
    stacked, poses = np.array(columns, np.float64), batch.poses.reshape(-1, 51).astype(np.float64)
    gradient = stacked.T @ (stacked @ _linear(network) - poses) + 0.5 * _linear(network)  # 0 where |Ax - y|^2 + 0.5 |x|^2 is least
    assert np.abs(gradient).max() < 1e-2
    np.testing.assert_allclose(validate(network, [batch])["mpjpe"], 1300 * _error(stacked @ _linear(network), poses), rtol=1e-3)


def _linear(network: Network) -> np.ndarray:
    return torch.cat([network.weights["linear"], network.biases["shrink"][None]]).detach().double().numpy()


def _error(predicted: np.ndarray, poses: np.ndarray) -> float:
    return float(np.linalg.norm((predicted - poses).reshape(-1, 17, 3)[:, 1:], axis=-1).sum() / (17 * len(poses)))


def said(poses: torch.Tensor, spread: float = 1.0) -> Prediction:
    return Prediction(poses, torch.full_like(poses, math.log(spread)))


def test_the_loss_is_position_velocity_bones_and_spread() -> None:
    plain = replace(SMALL, spread_weight=0.0)
    truth = torch.zeros(1, 2, 17, 3)
    truth[:, :, 1:] = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    assert float(loss(plain, truth, said(truth))) == 0
    shifted = truth + torch.tensor([0.3, 0.0, 0.4])  # no velocity, no bone is changed by it
    assert float(loss(plain, truth, said(shifted))) == pytest.approx(0.5, abs=1e-6)
    jumped = truth.clone()
    jumped[:, 1] += torch.tensor([0.0, 0.6, 0.8])
    assert float(loss(replace(plain, velocity_weight=2.0), truth, said(jumped))) == pytest.approx(0.5 + 2 * 1.0, abs=1e-6)
    lengths = np.linalg.norm(np.diff(truth[0, 0, [0, 7, 8, 9, 10]].numpy(), axis=0), axis=-1)
    assert lengths.min() > 0.1
    with_bones, without = (float(loss(replace(plain, bone_weight=weight), truth, said(2 * truth))) for weight in (1.0, 0.0))
    parents = [0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15]
    bones = [float((truth[0, 0, joint + 1] - truth[0, 0, parent]).norm()) for joint, parent in enumerate(parents)]
    assert with_bones - without == pytest.approx(np.mean(bones), rel=1e-5)


def test_the_spread_is_learnt_as_the_likelihood_has_it_and_leaves_the_poses_alone() -> None:
    only_spread = replace(SMALL, velocity_weight=0.0, bone_weight=0.0, spread_weight=1.0)
    truth = torch.zeros(1, 2, 17, 3)
    poses = (0.1 * torch.ones_like(truth)).requires_grad_()
    values = []
    for spread in (0.05, 0.1, 0.2):
        position = math.sqrt(3) * 0.1
        values.append(float(loss(only_spread, truth, said(poses, spread)).detach()) - position)
        density = math.exp(-0.5 * (0.1 / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
        assert values[-1] == pytest.approx(-math.log(density) - 0.5 * math.log(2 * math.pi), abs=1e-5)
    assert values[1] == min(values)
    (pull,) = torch.autograd.grad(loss(only_spread, truth, said(poses, 0.05)), poses)
    (of_position,) = torch.autograd.grad(loss(replace(only_spread, spread_weight=0.0), truth, said(poses, 0.05)), poses)
    torch.testing.assert_close(pull, of_position, rtol=0, atol=0)


def test_calibration_makes_the_spread_right(motion: Motion) -> None:
    """For people whom it is asked about; whatever it said before."""
    trainer = Trainer(SMALL, motion)
    trainer.start_linear()
    network, batches = trainer.network, [make_batch(motion, np.random.default_rng(0), 64, 4, HISTORY, invent=False)]
    calibrate(network, batches)
    first = validate(network, batches)
    assert first["within_1_sigma"] == pytest.approx(68.27, abs=0.1)
    assert 88 < first["within_2_sigma"] <= 100
    network.widen_spread(7.0)
    assert validate(network, batches)["within_1_sigma"] > 95
    calibrate(network, batches)
    again = validate(network, batches)
    assert again == pytest.approx(first, abs=0.1)


def test_batches_made_ahead_are_the_same(motion: Motion) -> None:
    with BatchesAhead(partial(draw, SMALL), motion, first=3) as ahead:
        for step in (3, 4, 5):
            np.testing.assert_array_equal(ahead(step).features, draw(SMALL, motion, step).features)
        with pytest.raises(ValueError, match="step 6 comes next, not 9"):
            ahead(9)


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    settings = Settings(steps=1000, learning_rate=2e-3, warm_up=100)
    rates = np.array([learning_rate(settings, step) for step in range(1001)])
    assert rates[0] == pytest.approx(2e-5)
    assert rates.max() == pytest.approx(2e-3)
    assert rates.argmax() in (99, 100)
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_refining_falls_once_more_from_a_lower_rate() -> None:
    settings = Settings(steps=1000, refining_steps=200, learning_rate=2e-3, refining_rate=4e-4, warm_up=100)
    rates = np.array([learning_rate(settings, step) for step in range(1201)])
    np.testing.assert_array_equal(rates[:1000], [learning_rate(replace(settings, refining_steps=0), step) for step in range(1000)])
    assert rates[1000] == pytest.approx(4e-4)
    assert rates[1100] == pytest.approx(2e-4)
    assert (np.diff(rates[1000:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert settings.all_steps == 1200


def test_twenty_steps_lower_the_loss(motion: Motion) -> None:
    trainer = Trainer(SMALL, motion)
    batch = make_batch(motion, np.random.default_rng(9), 64, 4, HISTORY)

    def loss_now() -> float:
        with torch.no_grad():
            return float(loss(SMALL, torch.from_numpy(batch.poses), trainer.network(torch.from_numpy(batch.features))))

    before = loss_now()
    for _ in range(SMALL.steps):
        trainer.step()
    assert loss_now() < 0.85 * before


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(motion: Motion, tmp_path: Path) -> None:
    whole = Trainer(SMALL, motion)
    whole.start_linear()
    for _ in range(6):
        whole.step()
    first = Trainer(SMALL, motion)
    first.start_linear()
    for _ in range(3):
        first.step()
    first.save(tmp_path / "checkpoint.pt")
    second = Trainer.load(tmp_path / "checkpoint.pt", motion)
    assert second.done == 3
    assert second.settings == SMALL
    for _ in range(3):
        second.step()
    for tensor, other in zip(whole.network.parameters(), second.network.parameters()):
        torch.testing.assert_close(tensor, other, rtol=0, atol=0)


def test_another_seed_is_another_run(motion: Motion) -> None:
    losses = [Trainer(replace(SMALL, seed=seed), motion).step() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_training_writes_its_course_and_goes_on(motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY", 2)
    train(replace(SMALL, steps=3), motion, motion, tmp_path)
    table = np.genfromtxt(tmp_path / "losses.csv", delimiter=",", names=True)
    assert table["step"].tolist() == [2, 3]
    assert np.isfinite(table["n_mpjpe"]).all()
    again = train(SMALL, motion, motion, tmp_path, resume=True)
    assert again.done == again.settings.steps == 3
    draw_curves(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_a_piece_that_ends_between_two_reports_is_not_lost(motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count()
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(seconds)))  # a second passes with each look
    piece = train(SMALL, motion, motion, tmp_path, minutes=3.5 / 60)
    assert piece.done == 3
    assert Trainer.load(tmp_path / "checkpoint.pt", motion).done == piece.done


def test_there_is_nothing_to_go_on_from(motion: Motion, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"checkpoint\.pt: no checkpoint to go on from; leave out --resume"):
        train(SMALL, motion, motion, tmp_path, resume=True)


def test_the_exported_graph_is_the_network_and_says_what_it_is(motion: Motion, tmp_path: Path) -> None:
    trainer = Trainer(SMALL, motion)
    trainer.network = random_network()
    export(trainer, tmp_path / "lifter.onnx", {"n_mpjpe": 70.04})
    session = onnxruntime.InferenceSession(str(tmp_path / "lifter.onnx"), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    facts = LifterMetadata.read(metadata)
    assert (facts.receptive_field, facts.rate_hz) == (27, 30)
    assert json.loads(metadata["validation"]) == {"n_mpjpe": 70.0}
    assert "NSF EIA-0196217" in metadata["acknowledgement"]
    assert (metadata["licence"], metadata["held_out_subjects"]) == ("Apache-2.0", "05 135")
    assert len(metadata["keypoints"].split()) == len(metadata["joints"].split()) == 17
    features = np.random.default_rng(0).normal(size=(30, 67)).astype(np.float32)
    poses = run_columns(session, features[None])[0]
    np.testing.assert_allclose(poses, lift_sequence(to_weights(trainer.network), features).pose.reshape(30, 17, 3), atol=1e-4)


def run_columns(session: onnxruntime.InferenceSession, features: np.ndarray) -> np.ndarray:
    """Poses [N, T, 17, 3] of features [N, T, F], one column after another, all histories starting with the first."""
    states = {
        node.name: np.full((len(features), *node.shape[1:]), np.nan, np.float32)
        for node in session.get_inputs()
        if node.name.startswith("state_")
    }
    poses = []
    for t in range(features.shape[1]):
        tensors = {"features": features[:, t], "reset": np.full(len(features), t == 0), **states}
        outputs = dict(zip([node.name for node in session.get_outputs()], session.run(None, tensors)))
        states = {name: outputs[f"next_{name}"] for name in states}
        poses.append(outputs["pose"].reshape(-1, 17, 3))
    return np.stack(poses, 1)
