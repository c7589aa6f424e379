"""The network in torch, its training and its export: small, seeded, on made-up people; and the weights that are shipped."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch", reason="training needs torch: pip install poselift[train]")
onnxruntime = pytest.importorskip("onnxruntime")

from random_lifter import random_lifter  # noqa: E402

from bench.plain_network import lift_sequence  # noqa: E402
from poselift.common.errors import ModelError  # noqa: E402
from poselift.models.convert.lifter import build  # noqa: E402
from poselift.models.lifting.lifter_metadata import LifterMetadata  # noqa: E402
from poselift.models.lifting.temporal import filter_widths, receptive_field  # noqa: E402
from poselift.models.training import train as training  # noqa: E402
from poselift.models.training.ahead import BatchesAhead  # noqa: E402
from poselift.models.training.batches import Sources, make_batch  # noqa: E402
from poselift.models.training.curves import draw_curves  # noqa: E402
from poselift.models.training.export import export  # noqa: E402
from poselift.models.training.motion import Motion  # noqa: E402
from poselift.models.training.network import SPREADS, Network, Prediction, to_weights  # noqa: E402
from poselift.models.training.start import keep_beside, start_from  # noqa: E402
from poselift.models.training.train import (  # noqa: E402
    HISTORY,
    Settings,
    Trainer,
    Validation,
    calibrate,
    draw,
    learning_rate,
    loss,
    train,
    validate,
)

SMALL = Settings(steps=20, channels=24, sequences=8, outputs=4, learning_rate=3e-3, warm_up=2, bfloat16=False)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def sources() -> Sources:
    """Two people who stand in the middle of nowhere and wave all their joints a little."""
    standing = [
        (0, 0, 0.95), (0.1, 0, 0.95), (0.1, 0.02, 0.52), (0.1, 0, 0.1), (-0.1, 0, 0.95), (-0.1, 0.02, 0.52), (-0.1, 0, 0.1),
        (0, 0, 1.18), (0, 0, 1.42), (0, 0.02, 1.55), (0, 0.03, 1.72),
        (-0.2, 0, 1.42), (-0.25, 0, 1.12), (-0.25, 0.1, 0.9), (0.2, 0, 1.42), (0.25, 0, 1.12), (0.25, 0.1, 0.9),
        (-0.1, -0.05, 0.02), (-0.12, 0.2, 0.015), (0.1, -0.05, 0.02), (0.12, 0.2, 0.015),
    ]  # fmt: skip
    rng = np.random.default_rng(5)
    time = np.arange(400)[:, None, None] / 10
    sway = 0.05 * np.sin(time * rng.uniform(0.5, 2, (21, 3)) + rng.uniform(0, 6, (21, 3)))
    joints = (np.array(standing) + sway).astype(np.float32)
    contact = np.ones((400, 4), np.float32)
    return Sources(Motion(joints, contact, np.array([0, 200]), np.array([200, 200]), np.array([30, 30], np.float32), ("a/1_1", "a/2_1")))


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
    features = np.random.default_rng(0).normal(size=(40, 106)).astype(np.float32)
    padded = np.concatenate([np.repeat(features[:1], HISTORY, 0), features])[None]
    with torch.no_grad():
        poses, log_spread, contact = (values.numpy()[0] for values in network(torch.from_numpy(padded)))
    assert poses.shape == (40, 21, 3)
    outputs = lift_sequence(weights, features)
    np.testing.assert_allclose(outputs.pose.reshape(40, 21, 3), poses, atol=1e-4)
    np.testing.assert_allclose(np.log(outputs.sigma).reshape(40, 21, 3).clip(*SPREADS), log_spread, atol=1e-4)
    assert contact.shape == (40, 4) and np.ptp(contact) > 0.1
    assert np.ptp(log_spread) > 0.1
    assert np.abs(poses[:, 1:]).mean() > 0.1
    np.testing.assert_array_equal(poses[:, 0], 0)


def test_an_output_knows_27_columns_and_none_later() -> None:
    network = random_network()
    features = np.random.default_rng(0).normal(size=(1, HISTORY + 10, 106)).astype(np.float32)
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


def test_the_linear_path_starts_as_the_ridge_regression_of_the_newest_three_columns(sources: Sources) -> None:
    batch = make_batch(sources, np.random.default_rng(0), 64, 4, HISTORY)
    network = Network(8, seed=0)
    network.start_linear(batch.features, batch.poses, penalty=0.5)
    columns = [np.concatenate([*sequence[t - 2 : t + 1], [1]]) for sequence in batch.features for t in range(HISTORY, HISTORY + 4)]
    stacked, poses = np.array(columns, np.float64), batch.poses.reshape(-1, 63).astype(np.float64)
    gradient = stacked.T @ (stacked @ _linear(network) - poses) + 0.5 * _linear(network)  # 0 where |Ax - y|^2 + 0.5 |x|^2 is least
    assert np.abs(gradient).max() < 1e-2
    np.testing.assert_allclose(
        validate(network, Validation([batch], []))["mpjpe"], 1300 * _error(stacked @ _linear(network), poses), rtol=1e-3
    )


def _linear(network: Network) -> np.ndarray:
    return torch.cat([network.weights["linear"], network.biases["shrink"][None]]).detach().double().numpy()


def _error(predicted: np.ndarray, poses: np.ndarray) -> float:
    """Of the 17."""
    return float(np.linalg.norm((predicted - poses).reshape(-1, 21, 3)[:, 1:17], axis=-1).sum() / (17 * len(poses)))


def said(poses: torch.Tensor, spread: float = 1.0) -> Prediction:
    return Prediction(poses, torch.full_like(poses, math.log(spread)), torch.zeros(*poses.shape[:2], 4))


def of(settings: Settings, truth: torch.Tensor, predicted: Prediction) -> torch.Tensor:
    """The loss where nobody knows what touches the floor."""
    return loss(settings, truth, torch.full((*truth.shape[:2], 4), math.nan), predicted)


def validation(sources: Sources) -> Validation:
    return Validation.of(sources, SMALL.outputs)


def test_the_loss_is_position_velocity_bones_and_spread() -> None:
    plain = replace(SMALL, spread_weight=0.0)
    truth = torch.zeros(1, 2, 21, 3)
    truth[:, :, 1:] = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    assert float(of(plain, truth, said(truth))) == 0
    shifted = truth + torch.tensor([0.3, 0.0, 0.4])  # no velocity, no bone is changed by it
    assert float(of(plain, truth, said(shifted))) == pytest.approx(0.5, abs=1e-6)
    jumped = truth.clone()
    jumped[:, 1] += torch.tensor([0.0, 0.6, 0.8])
    assert float(of(replace(plain, velocity_weight=2.0), truth, said(jumped))) == pytest.approx(0.5 + 2 * 1.0, abs=1e-6)
    lengths = np.linalg.norm(np.diff(truth[0, 0, [0, 7, 8, 9, 10]].numpy(), axis=0), axis=-1)
    assert lengths.min() > 0.1
    with_bones, without = (float(of(replace(plain, bone_weight=weight), truth, said(2 * truth))) for weight in (1.0, 0.0))
    parents = [0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15, 6, 6, 3, 3]
    bones = [float((truth[0, 0, joint + 1] - truth[0, 0, parent]).norm()) for joint, parent in enumerate(parents)]
    assert with_bones - without == pytest.approx(np.mean(bones), rel=1e-5)


def test_the_spread_is_learnt_as_the_likelihood_has_it_and_leaves_the_poses_alone() -> None:
    only_spread = replace(SMALL, velocity_weight=0.0, bone_weight=0.0, spread_weight=1.0)
    truth = torch.zeros(1, 2, 21, 3)
    poses = (0.1 * torch.ones_like(truth)).requires_grad_()
    values = []
    for spread in (0.05, 0.1, 0.2):
        position = math.sqrt(3) * 0.1
        values.append(float(of(only_spread, truth, said(poses, spread)).detach()) - position)
        density = math.exp(-0.5 * (0.1 / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
        assert values[-1] == pytest.approx(-math.log(density) - 0.5 * math.log(2 * math.pi), abs=1e-5)
    assert values[1] == min(values)
    (pull,) = torch.autograd.grad(of(only_spread, truth, said(poses, 0.05)), poses)
    (of_position,) = torch.autograd.grad(of(replace(only_spread, spread_weight=0.0), truth, said(poses, 0.05)), poses)
    torch.testing.assert_close(pull, of_position, rtol=0, atol=0)


def test_the_loss_of_contact_is_the_cross_entropy_of_what_is_known() -> None:
    truth = torch.zeros(1, 2, 21, 3)
    logits = torch.tensor([[[2.0, -1.0, 0.5, 9.0], [0.0, 3.0, -2.0, -9.0]]])
    contact = torch.tensor([[[1.0, 0.0, 1.0, math.nan], [math.nan, 1.0, 1.0, math.nan]]])
    predicted = said(truth)._replace(contact=logits)
    likelihoods = [1 / (1 + math.exp(-logit)) for logit in (2.0, 1.0, 0.5, 3.0, -2.0)]
    only_contact = replace(SMALL, spread_weight=0.0, contact_weight=0.5)
    assert float(loss(only_contact, truth, contact, predicted)) == pytest.approx(-0.5 * np.mean(np.log(likelihoods)), abs=1e-6)
    assert math.isfinite(float(of(only_contact, truth, predicted)))


def test_calibration_makes_the_spread_right(sources: Sources) -> None:
    """For people whom it is asked about; whatever it said before."""
    trainer = Trainer(SMALL, sources)
    trainer.start_linear()
    network = trainer.network
    people = Validation([make_batch(sources, np.random.default_rng(0), 64, 4, HISTORY, invent=False)], [])
    calibrate(network, people)
    first = validate(network, people)
    assert first["within_1_sigma"] == pytest.approx(68.27, abs=0.1)
    assert 88 < first["within_2_sigma"] <= 100
    network.widen_spread(7.0)
    assert validate(network, people)["within_1_sigma"] > 95
    calibrate(network, people)
    assert validate(network, people) == pytest.approx(first, abs=0.1)


def test_validation_tells_the_feet_and_the_contact(sources: Sources) -> None:
    """Poses that are right but for the left toe, 0.1 body scales off; contact right for two parts of the four that touch the floor."""
    batch = make_batch(sources, np.random.default_rng(0), 8, 4, HISTORY, invent=False)
    poses, contact = torch.from_numpy(batch.poses.copy()), torch.full((8, 4, 4), -1.0)
    poses[:, :, 18, 0] += 0.1
    contact[..., :2] = 1.0
    network = cast(Network, lambda features: said(poses)._replace(contact=contact))
    scores = validate(network, Validation([batch], []))
    assert scores["n_mpjpe"] == pytest.approx(0, abs=1e-3)
    assert scores["feet"] == pytest.approx(1300 * 0.1 / 4, rel=1e-4)
    assert scores["contact_f1"] == pytest.approx(100 * 2 * 2 / (2 * 2 + 2))


def test_batches_made_ahead_are_the_same(sources: Sources) -> None:
    with BatchesAhead(partial(draw, SMALL), sources, first=3) as ahead:
        for step in (3, 4, 5):
            np.testing.assert_array_equal(ahead(step).features, draw(SMALL, sources, step).features)
        with pytest.raises(ValueError, match="step 6 comes next, not 9"):
            ahead(9)


def test_the_learning_rate_rises_stays_and_falls_to_nothing() -> None:
    settings = Settings(steps=1000, decay_steps=200, learning_rate=2e-3, warm_up=100)
    rates = np.array([learning_rate(settings, step) for step in range(1201)])
    assert rates[0] == pytest.approx(2e-5)
    np.testing.assert_allclose(rates[99:1001], 2e-3)
    assert rates[1100] == pytest.approx(1e-3)
    assert (np.diff(rates[1000:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert settings.all_steps == 1200


def test_twenty_steps_lower_the_loss(sources: Sources) -> None:
    trainer = Trainer(SMALL, sources)
    batch = make_batch(sources, np.random.default_rng(9), 64, 4, HISTORY)

    def loss_now() -> float:
        with torch.no_grad():
            return float(of(SMALL, torch.from_numpy(batch.poses), trainer.network(torch.from_numpy(batch.features))))

    before = loss_now()
    for _ in range(SMALL.steps):
        trainer.step()
    assert loss_now() < 0.85 * before


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(sources: Sources, tmp_path: Path) -> None:
    whole = Trainer(SMALL, sources)
    whole.start_linear()
    for _ in range(6):
        whole.step()
    first = Trainer(SMALL, sources)
    first.start_linear()
    for _ in range(3):
        first.step()
    first.save(tmp_path / "checkpoint.pt")
    second = Trainer.load(tmp_path / "checkpoint.pt", sources, 20, 0)
    assert second.done == 3
    assert second.settings == SMALL
    for _ in range(3):
        second.step()
    for tensor, other in zip(whole.network.parameters(), second.network.parameters()):
        torch.testing.assert_close(tensor, other, rtol=0, atol=0)


def test_another_seed_is_another_run(sources: Sources) -> None:
    losses = [Trainer(replace(SMALL, seed=seed), sources).step() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_training_writes_its_course_and_goes_on(sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY", 2)
    train(replace(SMALL, steps=3), sources, validation(sources), tmp_path)
    table = np.genfromtxt(tmp_path / "losses.csv", delimiter=",", names=True)
    assert table["step"].tolist() == [2, 3]
    assert np.isfinite(table["n_mpjpe"]).all()
    again = train(replace(SMALL, steps=3, decay_steps=2, seed=9), sources, validation(sources), tmp_path, resume=True)
    assert again.done == again.settings.all_steps == 5
    assert again.settings.seed == 0  # only how long it lasts may change
    draw_curves(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_a_piece_that_ends_between_two_reports_is_not_lost(sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count()
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(seconds)))  # a second passes with each look
    piece = train(SMALL, sources, validation(sources), tmp_path, minutes=3.5 / 60)
    assert piece.done == 3
    assert Trainer.load(tmp_path / "checkpoint.pt", sources, 20, 0).done == piece.done


def test_there_is_nothing_to_go_on_from(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"checkpoint\.pt: no checkpoint to go on from; leave out --resume"):
        train(SMALL, sources, validation(sources), tmp_path, resume=True)


def test_the_exported_graph_is_the_network_and_says_what_it_is(sources: Sources, tmp_path: Path) -> None:
    trainer = Trainer(SMALL, sources)
    trainer.network = random_network()
    export(trainer, tmp_path / "lifter.onnx", {"n_mpjpe": 70.04})
    session = onnxruntime.InferenceSession(str(tmp_path / "lifter.onnx"), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    facts = LifterMetadata.read(metadata)
    assert (facts.receptive_field, facts.rate_hz) == (27, 30)
    assert json.loads(metadata["validation"]) == {"n_mpjpe": 70.0}
    assert "NSF EIA-0196217" in metadata["acknowledgement"]
    assert (metadata["licence"], metadata["held_out_subjects"]) == ("Apache-2.0", "05 135")
    assert len(metadata["keypoints"].split()) == len(metadata["joints"].split()) == 21
    features = np.random.default_rng(0).normal(size=(30, 106)).astype(np.float32)
    poses = run_columns(session, features[None])[0]
    np.testing.assert_allclose(poses, lift_sequence(to_weights(trainer.network), features).pose.reshape(30, 21, 3), atol=1e-4)


def test_a_network_goes_on_from_its_own_export(sources: Sources, tmp_path: Path) -> None:
    trainer, other = Trainer(SMALL, sources), Network(24, seed=8)
    trainer.network = random_network()
    export(trainer, tmp_path / "lifter.onnx", {})
    start_from(tmp_path / "lifter.onnx", other)
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(2, HISTORY + 3, 106)).astype(np.float32))
    with torch.no_grad():
        for before, after in zip(trainer.network(features), other(features)):
            torch.testing.assert_close(after, before)


def test_a_network_goes_on_from_one_without_feet_and_with_fewer_blocks(tmp_path: Path) -> None:
    """What was there says the same of a person without feet, but for what little the new block adds; heels and toes are their ankles."""
    onnx.save(build(random_lifter((3, 3, 3, 1), 24, 67, spread=True), {}), str(tmp_path / "old.onnx"))
    network = Network(24, seed=8)
    start_from(tmp_path / "old.onnx", network)
    with torch.no_grad():
        for i in (3, 4):
            network.weights[f"mix{i}"].zero_()
    columns = np.random.default_rng(0).normal(size=(1, 40, 67)).astype(np.float32)
    of_21 = np.zeros((1, 40, 106), np.float32)
    of_21[..., :51], of_21[..., 63:79] = columns[..., :51], columns[..., 51:]
    session = onnxruntime.InferenceSession(str(tmp_path / "old.onnx"), providers=["CPUExecutionProvider"])
    old = run_columns(session, columns)[0, HISTORY:]
    with torch.no_grad():
        new = network(torch.from_numpy(of_21)).poses[0].numpy()
    np.testing.assert_allclose(new[:, 1:17], old[:, 1:], atol=1e-4)
    np.testing.assert_allclose(new[:, 17:], old[:, [6, 6, 3, 3]], atol=1e-4)


def test_beside_a_lifter_that_is_kept_only_the_feet_are_learnt(sources: Sources, tmp_path: Path) -> None:
    """Its 17 joints and their spreads stay what they are, through training, a checkpoint and calibration; feet do not."""
    onnx.save(build(random_lifter((3, 3, 3, 1, 1, 1), 24, 67, spread=True), {}), str(tmp_path / "old.onnx"))
    settings = replace(SMALL, beside=8)
    trainer = Trainer(settings, sources)
    trainer.masks = keep_beside(tmp_path / "old.onnx", trainer.network)
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(2, HISTORY + 3, 106)).astype(np.float32))
    with torch.no_grad():
        before = trainer.network(features)
    columns = np.concatenate([features[:1, :, :51], features[:1, :, 63:79]], -1)
    session = onnxruntime.InferenceSession(str(tmp_path / "old.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(before.poses[0, :, 1:17], run_columns(session, columns)[0, HISTORY:, 1:], atol=1e-4)
    for _ in range(3):
        trainer.step()
    trainer.save(tmp_path / "checkpoint.pt")
    trainer = Trainer.load(tmp_path / "checkpoint.pt", sources, 20, 0)
    trainer.step()
    calibrate(trainer.network, validation(sources), body_is_kept=True)
    with torch.no_grad():
        after = trainer.network(features)
    torch.testing.assert_close(after.poses[:, :, :17], before.poses[:, :, :17], rtol=0, atol=0)
    torch.testing.assert_close(after.log_spread[:, :, :17], before.log_spread[:, :, :17], rtol=0, atol=0)
    for one, other in ((after.poses[:, :, 17:], before.poses[:, :, 17:]), (after.contact, before.contact)):
        assert (one - other).abs().min() > 0


def test_only_a_wider_network_of_as_many_blocks_fits_beside_a_lifter(tmp_path: Path) -> None:
    onnx.save(build(random_lifter((3, 3, 3, 1), 24, 67, spread=True), {}), str(tmp_path / "old.onnx"))
    with pytest.raises(ModelError, match=r"old\.onnx: a lifter of 24 channels and 3 blocks; beside it fits"):
        keep_beside(tmp_path / "old.onnx", Network(32, seed=0))


def test_a_lifter_that_is_none_of_ours_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx: no lifter to go on from; leave out --start"):
        start_from(tmp_path / "nowhere.onnx", Network(24, seed=0))
    onnx.save(build(random_lifter((3, 3), 16, 67, spread=True), {}), str(tmp_path / "other.onnx"))
    with pytest.raises(ModelError, match=r"other\.onnx: a lifter of 16 channels; give --start one of 24"):
        start_from(tmp_path / "other.onnx", Network(24, seed=0))


def run_columns(session: onnxruntime.InferenceSession, features: np.ndarray) -> np.ndarray:
    """Poses [N, T, 21, 3] of features [N, T, F], one column after another, all histories starting with the first."""
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
        poses.append(outputs["pose"].reshape(len(features), -1, 3))
    return np.stack(poses, 1)
