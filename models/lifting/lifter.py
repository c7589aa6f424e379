"""2D keypoints of many people, as they come, to 3D joints: the stateful network on its own grid of ticks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from poselift.common.arrays import Bools, Floats
from poselift.common.errors import ModelError
from poselift.common.people import Detected2D, People2D, People3D, with_feet
from poselift.common.sizes import Size, fitted, same_shape, with_depths_fitted
from poselift.common.skeleton import BODY_HEIGHT_M, FEET, JOINTS, KEYPOINTS
from poselift.models.backends.backend import Model, Tensor
from poselift.models.lifting.lifter_metadata import LifterMetadata
from poselift.models.lifting.mirror import mirrored_contact, mirrored_depths, mirrored_joints, mirrored_keypoints, mirrored_sigma
from poselift.models.lifting.root import locate_roots
from poselift.models.lifting.slots import Slots, plausible
from poselift.models.lifting.stateful import StatefulNetwork, plausible_rows
from poselift.models.lifting.temporal import Outputs
from poselift.models.lifting.ticks import NS_PER_S, TickGrid

BUILD_SPREAD = 0.016
"""How far people's body scale lies from what their height says, in parts of it (standard deviation): that of the 21 skeletons of the
motion capture that the lifter learnt from."""

JOINT_SOURCES: Mapping[str, Sequence[str]] = {
    "hip": ("left_hip", "right_hip"),
    "spine": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "neck": ("nose", "left_shoulder", "right_shoulder"),
    "head": ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
}
"""The keypoints that tell of a joint which has none of its own name."""

_SOURCES = [JOINT_SOURCES.get(joint, (joint,)) for joint in JOINTS]
CONFIDENCE_OF_KEYPOINTS: Floats = np.array([[(name in of) / len(of) for of in _SOURCES] for name in KEYPOINTS], np.float32)
"""[21, 21]: each joint's confidence is the mean of those of its keypoints."""


class _Joints(NamedTuple):
    """One person's, as in People3D."""

    joints_m: Floats
    sigma_m: Floats
    contact: Floats
    """[4]: as a logit; NaN where the network does not tell."""


class Lifter:
    """Lifts the people of one stream; keeps a slot of the network's state for each of them."""

    def __init__(
        self,
        model: Model,
        slots: int = 1,
        body_height_m: float = BODY_HEIGHT_M,
        focal_px: float | None = None,
        hold_s: float = 0.5,
        gap_s: float = 0.5,
        filtered: bool = True,
        body_heights_m: Mapping[int, float] = MappingProxyType({}),
    ) -> None:
        """For up to `slots` people at a time, who are held for `hold_s` when they are not seen.

        They are `body_height_m` tall, but for those whose ids `body_heights_m` has.
        `focal_px` is the pictures' focal length, where their size changes that of the first; None lets the normalisation assume one.
        A pause of more than `gap_s` between two measurements ends all histories. `filtered`: poses go through FILTERS
        (`filters.py`), except with a network that answers late. Raises ModelError where `model` is no lifter that this code can use.
        """
        facts = LifterMetadata.read(model.metadata)
        self._facts = facts
        self._rows = facts.rows(slots)
        require_shapes(model, facts)
        require_people(model.inputs, facts, slots)
        self._network = StatefulNetwork(model, self._rows)
        self.delay_ns = round(facts.delay_columns * NS_PER_S / facts.rate_hz)
        self._body_height_m, self._body_heights_m = body_height_m, body_heights_m
        self._focal_px = focal_px
        self._grid = TickGrid(facts.rate_hz, round(gap_s * NS_PER_S))
        self._slots = Slots(slots, round(hold_s * NS_PER_S))
        self._filtered = filtered and not self.delay_ns
        self._size_px: Size = (0, 0)
        """In pixels of a picture of this size, the first of its shape, is all that is known of people."""
        self._newest: dict[int, _Joints] = {}
        """Everyone's joints as the last tick gave them."""
        self._roots_m: dict[int, Floats] = {}
        """Where everyone's root was at the last step, [3]."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many people of all frames got no pose, by reason."""
        return self._slots.left_out

    def close(self) -> None:
        """Forget everybody; the network itself stays open."""
        self._network.close()

    def step(self, t_ns: int, people: People2D, size_px: Size) -> People3D:
        """The poses at the measurement's own time `t_ns`, or with a symmetric network `delay_ns` before it.

        `size_px` is the picture's. Keypoints that are not finite, or far outside of it, count as missing. Raises ValueError where there are
        more ids or fewer than people.
        """
        ids: list[int] = np.asarray(people.person, np.int64).tolist()
        points = plausible(people.keypoints, people.depth_px if isinstance(people, Detected2D) else None, *size_px)
        if len(ids) != len(points):
            raise ValueError(f"{len(ids)} ids for the keypoints of {len(points)} people")
        if not same_shape(self._size_px, size_px):  # another view: nothing to interpolate from
            self._size_px = size_px
            self._grid.restart()
        points = with_depths_fitted(points, size_px, self._size_px)
        advance = self._grid.advance(int(t_ns))
        if advance.restart:
            self._slots.clear()
        arrived = self._slots.update(int(t_ns), ids, points)
        for part in advance.between:
            self._commit(part)
        self._slots.admit(int(t_ns), arrived)
        joints = self._commit(1.0) if advance.on_tick else self._look()
        if len(joints) < len(self._slots.people):
            self._slots.left_out["no numbers from the network"] += len(self._slots.people) - len(joints)
        if self._filtered:
            joints = {person: self._through_filters(int(t_ns), person, of) for person, of in joints.items()}
        lifted = self._lifted(ids, joints, peeked=not advance.on_tick)
        return replace(lifted, keypoints=fitted(lifted.keypoints, self._size_px, size_px))

    def _through_filters(self, t_ns: int, person: int, joints: _Joints) -> _Joints:
        known, joints_m = self._slots.people[person], joints.joints_m
        for filtering in () if known.held else known.filters:
            joints_m = filtering.step(t_ns, known.keypoints, joints_m)
        return joints._replace(joints_m=joints_m)

    def _commit(self, part: float) -> dict[int, _Joints]:
        """Everyone's joints. Whose are no numbers has a past that cannot be used either, and begins anew."""
        self._newest = self._evaluate(self._network.commit, part)
        for person, known in self._slots.people.items():
            known.columns = known.columns + 1 if person in self._newest else 0
        return self._newest

    def _look(self) -> dict[int, _Joints]:
        """Everyone's joints for a measurement that lies on no tick.

        A causal network's answer to a column is of that column's time. A symmetric one's is of an earlier tick, whatever the column's own
        time: between that tick and the one before, the joints are interpolated.
        """
        joints = self._evaluate(self._network.peek, 1.0)
        if not self.delay_ns:
            return joints
        part = np.float32(min(max(self._grid.since_tick(), 0), 1))
        return {person: _between(self._newest.get(person, ahead), ahead, part) for person, ahead in joints.items()}

    def _evaluate(self, step: Callable[[Floats, Bools], Outputs], part: float) -> dict[int, _Joints]:
        """Everyone's joints, that part of the way from the last measurement to this one; of those for whom the network gives numbers."""
        people = self._slots.people
        if not people:
            return {}
        rows = np.array([known.slot for known in people.values()])
        starts = np.array([known.columns == 0 for known in people.values()])
        points = np.stack([known.at(part)[: self._facts.keypoints] for known in people.values()])
        keypoints, depth_px = points[..., :3], points[..., 3]
        if self._facts.flip:  # who is mirrored has the slot beyond those of all people
            keypoints = np.concatenate([keypoints, mirrored_keypoints(keypoints, self._size_px[0])])
            depth_px = np.concatenate([depth_px, mirrored_depths(depth_px)])
            rows, starts = np.concatenate([rows, rows + self._slots.count]), np.concatenate([starts, starts])
        observed, views = self._facts.normalisation.observe(keypoints, *self._size_px, self._focal_px, depth_px)
        features = np.zeros((self._rows, *observed.shape[1:]), np.float32)
        features[rows] = observed
        reset = np.zeros(self._rows, np.bool_)
        reset[rows] = starts
        outputs = step(features, reset)
        sound = plausible_rows(outputs)[rows].reshape(-1, len(people)).all(0)
        persons = [person for person, is_sound in zip(people, sound) if is_sound]
        kept = np.tile(sound, len(rows) // len(people))
        rows, views = rows[kept], views[kept]
        pose = outputs.pose[rows].reshape(-1, self._facts.joints, 3)
        units_m = np.tile(self._units_m(persons), len(kept) // len(people))[:, None, None]
        joints_m = self._facts.normalisation.to_camera(pose - pose[:, :1], views) * units_m
        if outputs.sigma is None:
            sigma_m = np.full_like(joints_m, np.nan)
        else:
            sigma_m = self._facts.normalisation.sigma_to_camera(outputs.sigma[rows].reshape(pose.shape), views) * units_m
        contact = np.full((len(rows), len(FEET)), np.nan, np.float32) if outputs.contact is None else outputs.contact[rows]
        if self._facts.flip:
            half = len(persons)
            joints_m = (joints_m[:half] + mirrored_joints(joints_m[half:])) / 2
            sigma_m = (sigma_m[:half] + mirrored_sigma(sigma_m[half:])) / 2
            contact = (contact[:half] + mirrored_contact(contact[half:])) / 2
        sigma_m = _with_build_spread(sigma_m, joints_m)
        return dict(zip(persons, map(_Joints, with_feet(joints_m, np.nan), with_feet(sigma_m, np.nan), contact)))

    def _units_m(self, persons: Sequence[int]) -> Floats:
        """How long the network's unit is for each of these people, [K]."""
        heights_m = (self._body_heights_m.get(person, self._body_height_m) for person in persons)
        return np.array([self._facts.normalisation.body_scale_m(height_m) for height_m in heights_m], np.float32)

    def _lifted(self, measured: Sequence[int], known_joints: Mapping[int, _Joints], peeked: bool) -> People3D:
        people = self._slots.people
        seen = [person for person in dict.fromkeys(measured) if person in known_joints and not people[person].held]
        order = seen + [person for person in known_joints if people[person].held]
        chosen = [people[person] for person in order]
        keypoints = np.array([known.keypoints for known in chosen], np.float32).reshape(-1, len(KEYPOINTS), 3)
        joints = [known_joints[person] for person in order]
        joints_m = np.array([of.joints_m for of in joints], np.float32).reshape(-1, len(JOINTS), 3)
        return People3D(
            person=np.array(order, np.int64),
            keypoints=keypoints,
            joints_m=joints_m,
            sigma_m=np.array([of.sigma_m for of in joints], np.float32).reshape(-1, len(JOINTS), 3),
            root_m=self._located(order, joints_m, keypoints),
            confidence=joint_confidence(keypoints, joints_m),
            contact=np.array([of.contact for of in joints], np.float32).reshape(-1, len(FEET)) > 0,
            warming=np.array([known.columns + peeked < self._facts.receptive_field for known in chosen], np.bool_),
            held=np.array([known.held for known in chosen], np.bool_),
            delay_ns=self.delay_ns,
        )

    def _located(self, people: Sequence[int], joints_m: Floats, keypoints: Floats) -> Floats:
        """The roots [M, 3] of these people, who are all that have a pose."""
        if self.delay_ns:
            return np.full((len(people), 3), np.nan, np.float32)
        root_m = locate_roots(joints_m, keypoints, *self._size_px, self._focal_px)
        for row, person in enumerate(people):
            if self._slots.people[person].held:
                root_m[row] = self._roots_m.get(person, np.nan)
        self._roots_m = dict(zip(people, root_m.copy()))
        return root_m


def joint_confidence(keypoints: Floats, joints_m: Floats) -> Floats:
    """That [K, 21] of joints [K, 21, 3] by their keypoints [K, 21, 3] (x px, y px, confidence); 0 where a joint is NaN."""
    return np.where(np.isnan(joints_m[..., 0]), np.float32(0), keypoints[..., 2] @ CONFIDENCE_OF_KEYPOINTS)


def _with_build_spread(sigma_m: Floats, joints_m: Floats) -> Floats:
    """The network's `sigma_m` [K, J, 3] with what the unknown build adds.

    It moves a joint along its line from the root, whatever else is not known of it: both add in quadrature. The height is taken for right:
    where it is wrong by a twentieth, so is all.
    """
    spread_m: Floats = np.hypot(sigma_m, np.float32(BUILD_SPREAD) * joints_m)
    spread_m[:, 0] *= 0  # what is not known stays NaN
    return spread_m


def _between(start: _Joints, end: _Joints, part: np.float32) -> _Joints:
    return _Joints(*((1 - part) * before + part * after for before, after in zip(start, end)))


def require_people(inputs: Sequence[Tensor], facts: LifterMetadata, slots: int) -> None:
    """Raises ModelError where a lifter with these inputs is for another number of people."""
    rows = {tensor.shape[0] for tensor in inputs} - {-1, facts.rows(slots)}
    if rows:
        people = min(rows) // facts.rows(1)
        raise ModelError(f"this lifter was converted for detect.people: {people}, and here it is {slots}; set {people}, or convert it anew")


def require_shapes(model: Model, facts: LifterMetadata) -> None:
    """Raises ModelError where the network does not take what its normalisation gives, or gives no pose of ours."""
    observed, views = facts.normalisation.observe(np.zeros((1, facts.keypoints, 3), np.float32), 1, 1, None)
    if facts.delay_columns and views.size:
        raise ModelError("this lifter is symmetric, but its normalisation sees each moment in another way: only a causal one can use it")
    columns, joints, flat = observed.shape[1:], (facts.joints, 3), (facts.joints * 3,)
    wanted = {"features": {columns}, "keypoints": {columns}, "pose": {flat, joints}, "sigma": {flat, joints}, "contact": {(len(FEET),)}}
    for tensor in (*model.inputs, *model.outputs):
        if tensor.shape[1:] not in wanted.get(tensor.name, {tensor.shape[1:]}):
            needed = " or ".join(map(str, sorted(wanted[tensor.name])))
            raise ModelError(f"this lifter's {tensor.name} is {tensor.shape[1:]} a person; its normalisation needs {needed}")
