"""Whose side a keypoint is on: undoes a detector's exchange of left and right before the lifter sees it.

A detector that takes left for right, of a limb or of the whole body, shows it as that starts and as it ends: both keypoints of a
pair jump, each to where the other was expected. So every keypoint is followed from measurement to measurement, and a pair
whose keypoints fit far better to each other's prediction than to their own is turned round until they jump back.

The detector is believed wherever the keypoints do not tell. Pairs that stand close together follow those of their limb or body
that do not; labels may be doubted only for as long as they have earned by being clear before (see `EARNING`); and after what
looked like half an exchange, or when the whole picture jumps, nothing is turned round for a while. Heels and toes go with their ankles.
"""

from __future__ import annotations

from math import exp

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Bools, Doubles, Floats
from poselift.common.skeleton import COCO_KEYPOINTS

Points = npt.NDArray[np.complex128]
"""Keypoints [8, 2] by pair and side, or pairs [8]: px, x + iy."""

PAIRS = 8
"""Eyes, ears, shoulders, elbows, wrists, hips, knees, ankles: after the nose, COCO's keypoints are pairs of left and right."""
ANKLES = PAIRS - 1
LIMBS = (slice(0, 2), slice(2, 5), slice(5, 8))
"""Pairs that a detector often exchanges together: the face, the arms, the legs."""

AS_IT_IS_AND_EXCHANGED = np.array([[0, 1], [1, 0]])

# Where these values come from: the errors of predictions were measured, and a threshold is a probability under the model of these errors.
# `python -m bench.sides` measures the errors, and what happens when a value is halved or doubled; docs/lifter-log.md has its table.
#
# The model: an error in two dimensions, in units of its scale, follows a t distribution with FREEDOM degrees of freedom. Its cost, the
# negative log-likelihood less that of no error, is (FREEDOM / 2 + 1) log(1 + error ** 2 / FREEDOM), exponentially distributed with mean
# 1 + 2 / FREEDOM = 1.5. A pair's cost is the sum of two: it is above c with probability (1 + c / 1.5) exp(-c / 1.5). What an exchange costs
# is the logarithm of the number of frames that are expected to pass until one begins.

PLACE_S, SPEED_S, COASTING_S = 0.03, 0.06, 0.2
"""Time constants of a keypoint's place and speed as they follow the measurements, and of the speed's decay.

Measured: what predicts better also follows an exchange before it is noticed. With PLACE_S or SPEED_S halved the median error is 0.0088 body
sizes instead of 0.0100, with COASTING_S doubled 0.0091; but of 1,000 exchanged pairs 140 are not turned back instead of 120.
"""
NOISE, UNREST_PER_S = 0.0095, 0.2
"""A prediction's usual error, per axis, in sizes of the body: at once, and for each second since the keypoint was seen.

Measured: 68 % of the errors are below 0.0092, 0.0154, 0.0282 and 0.0491 when it was seen 1, 2, 4 and 7 frames ago; these two give 0.0116,
0.0164, 0.0283 and 0.0476.
"""
FREEDOM = 4.0
"""Degrees of freedom of the t distribution: great errors are more frequent than a normal distribution has them.

Measured: 2 is likeliest, but with it almost twice as many exchanged pairs are not turned back; with 8, half as many.
"""
SPREAD_S, MAX_SPREAD, FIRST_SPREAD = 0.5, 5.0**2, 10.0
"""Time constant of a pair's error variance, in usual ones; the most that one measurement counts, 5 standard deviations squared; and the
variance of somebody new, about 3 standard deviations squared, as nothing is known of them. Measured: of little effect."""
FORGET_S = 0.25
"""A keypoint that was not seen, or was where neither side's was expected, for longer is followed anew.

The usual error is 0.05 body sizes by then; half of the distance between a pair's keypoints is 0.07 (measured, median).
"""
GROWING_S, SHRINKING_S, MAX_GROWTH = 0.3, 5.0, 1.5
"""Time constants of the body's size as its box grows and shrinks, and how many times larger a box may be to be believed.

Measured: halved or doubled, the time constants change the median error by 3 % at most; a box that may be 3 times larger changes nothing.
"""

LIMB_COST, BODY_COST, RETURN_COST = 12.0, 10.0, 4.5
"""Log-likelihood that must be gained by an exchange of a limb or a part of it, of the whole body, and by the end of an exchange.

The logarithms of 163,000 frames (90 minutes at 30 Hz), of 22,000 (12 minutes), and of 90 (3 s). Measured: with a limb's halved, fewer pairs
are turned wrongly and more are turned back; the other two have no effect.
"""
FOLLOWS = 2.0
"""A pair goes with the rest of its limb where this costs less log-likelihood: the limb's answer is not 7 times less likely than its own."""
MISFIT = 6.0
"""What exchanged keypoints cost above this, because they fit badly as well, counts against the exchange: 9 % of right pairs cost more."""
OUTSIDE = 2 * MISFIT
"""A pair that costs more is neither where it was expected nor exchanged, so at first it is not followed. 0.3 % of right pairs cost more."""
CUT = 1.7
"""This is another scene where log(1 + squared error / `FREEDOM`) of the pairs' middles is more, on average.

That is 4.2 times the usual error. Of eight middles that are right, the mean is above it in 4 frames of a million; of a single one in 3 %.
Measured, without any cuts: halved, 347 of 1,000 exchanged pairs are not turned back; doubled, 58.
"""

EARNING, MAX_TRUST_S = 2.0, 4.0
"""Each second for which a pair's labels are clear earns so many for which they may be turned round, up to a limit.

So an exchange may last twice as long as the labels were clear before, and 4 s at most; on rendered people the longest took 5 pictures
(docs/rendered.md). Measured: with EARNING halved a third as many pairs are turned wrongly, but 172 of 1,000 exchanged ones are not turned
back; with it doubled twice as many are turned wrongly, and 103 are not turned back.
"""
CLEAR_PAIR, CLEAR_BODY, DOUBT = FOLLOWS, 8.0, 20.0
"""With less log-likelihood for its labels than that, a pair's trust (or that of all exchanged) is spent so many times faster.

A pair is clear when one side is 7 times likelier than the other; eight pairs together when they have 1 each. Full trust is gone in 0.2 s.
"""
SUSPICIOUS = 3.0
"""Log-likelihood for an exchange that is too little to act and too much to forget: 20 times likelier than none.

Measured: with 1.5 a quarter fewer pairs are turned wrongly, with 6 two thirds more.
"""
DISTRUST_S = -EARNING
"""The trust in a detector's labels against what comes later: when they are suspicious, and when an exchange is given up. Labels have to be
clear for one second before they may be turned round."""


class Sides:
    """The sides of one person's keypoints; what it gives depends on the sequence of keypoints and times alone."""

    def __init__(self) -> None:
        self.exchanged: Bools = np.zeros(PAIRS, np.bool_)
        """[8]: the pairs that were turned round in the newest measurement."""
        self._holds = False
        """Whether any pair is turned round."""
        self._t_ns: int | None = None
        self._size_px = 0.0
        self._place: Points = np.zeros((PAIRS, 2), np.complex128)
        self._speed: Points = np.zeros((PAIRS, 2), np.complex128)
        self._unseen_s: Doubles = np.full((PAIRS, 2), np.inf)
        self._spread: Doubles = np.full(PAIRS, FIRST_SPREAD)
        self._trust_s: Doubles = np.full(PAIRS, -EARNING * FORGET_S)

    def undo(self, t_ns: int, keypoints: Floats) -> Floats:
        """The keypoints [17 or 21, 3] (x px, y px, confidence; 0 where missing) seen at `t_ns`, each under its own side's name.

        Times must not go back. No value may be NaN.
        """
        elapsed_s = 0.0 if self._t_ns is None else (t_ns - self._t_ns) / 1e9
        self._t_ns = t_ns
        body = keypoints[: len(COCO_KEYPOINTS)]
        self._measure(body, elapsed_s)
        pairs = body[1:].reshape(PAIRS, 2, 3)
        measured = np.where(self.exchanged[:, None, None], pairs[:, ::-1], pairs) if self._holds else pairs
        place: Points = measured[..., :2].astype(np.float64).view(np.complex128)[..., 0]
        seen = measured[..., 2] > 0
        predicted = self._place + self._speed * (COASTING_S * (1 - exp(-elapsed_s / COASTING_S)))
        self._unseen_s += elapsed_s
        self._unseen_s[self._unseen_s > FORGET_S] = np.inf

        tells: Bools = np.asarray((seen & np.isfinite(self._unseen_s)).all(1))
        scale_px2 = self._scale_px2(tells)
        off = place[:, AS_IT_IS_AND_EXCHANGED] - predicted[:, None]
        error = (off.real**2 + off.imag**2) / scale_px2[:, None]
        cost = (FREEDOM / 2 + 1) * np.log1p(error / FREEDOM).sum(-1)
        cut = _another_scene(cost[:, 0], off[:, 0], scale_px2, tells)
        flips = None if cut else self._judge(cost, tells, elapsed_s)
        if flips is not None:
            self._turn(flips)
            place[flips], seen[flips] = place[flips, ::-1], seen[flips, ::-1]
            error[flips, 0], cost[flips, 0] = error[flips, 1], cost[flips, 1]

        variance = np.minimum(error[:, 0].sum(1) / 4 * np.maximum(self._spread, 1), MAX_SPREAD)
        self._spread += (1 - exp(-elapsed_s / SPREAD_S)) * (variance - self._spread)
        self._follow(place, predicted, seen & (cut | (cost[:, :1] <= OUTSIDE)), elapsed_s)
        if cut:
            self._trust_s[:] = DISTRUST_S
        if self._holds and self._trust_s[self.exchanged].max() <= 0:
            self._give_up()
        if not self._holds:
            return keypoints
        return self.righted(keypoints)

    def righted(self, values: Floats) -> Floats:
        """Something of each keypoint [17 or 21, ...], each under the name that `undo` gave the keypoint last."""
        body, feet = values[: len(COCO_KEYPOINTS)], values[len(COCO_KEYPOINTS) :]
        pairs = body[1:].reshape(PAIRS, 2, -1)
        sided = np.where(self.exchanged[:, None, None], pairs[:, ::-1], pairs)
        if self.exchanged[ANKLES]:
            feet = np.concatenate(np.split(feet, 2)[::-1])
        return np.concatenate([body[:1], sided.reshape(-1, *values.shape[1:]), feet])

    def _measure(self, keypoints: Floats, elapsed_s: float) -> None:
        """The body's size: its box's longer side, followed slowly, since a crouch makes nobody small and a wild keypoint nobody large."""
        seen = keypoints[:, 2] > 0
        places = keypoints[:, :2] if seen.all() else keypoints[seen, :2]
        if not len(places):
            return
        box_px = max(float((places.max(0) - places.min(0)).max()), 1.0)
        if self._size_px == 0:
            self._size_px = box_px
        box_px = min(box_px, MAX_GROWTH * self._size_px)
        slowness_s = GROWING_S if box_px > self._size_px else SHRINKING_S
        self._size_px += (1 - exp(-elapsed_s / slowness_s)) * (box_px - self._size_px)

    def _scale_px2(self, tells: Bools) -> Doubles:
        """Variance [8, 2] of the predictions, per axis; infinite for a pair that does not tell."""
        usual_px2 = (max(self._size_px, 1) * np.hypot(NOISE, UNREST_PER_S * self._unseen_s)) ** 2 * np.maximum(self._spread, 1)[:, None]
        usual_px2[~tells] = np.inf
        return np.asarray(usual_px2)

    def _judge(self, cost: Doubles, tells: Bools, elapsed_s: float) -> Bools | None:
        """Which pairs [8] turn now, by what labels as they are and exchanged cost [8, 2]; earns and spends trust. None where none turns."""
        gain = (cost[:, 0] - cost[:, 1]) * (self._trust_s > 0)
        unclear = (np.abs(gain) < CLEAR_PAIR) & (self._trust_s > 0)
        away = ~tells & np.isfinite(self._unseen_s).all(1)  # for a moment: that says nothing about the labels
        spent_s = np.maximum(self._trust_s - DOUBT * elapsed_s, 0)
        earned_s = np.minimum(self._trust_s + EARNING * elapsed_s, MAX_TRUST_S)
        trust_s = np.where(away, self._trust_s, np.where(unclear, spent_s, earned_s))
        held_s = self._trust_s
        if self._holds and -gain[self.exchanged].sum() <= CLEAR_BODY:
            held_s = held_s - DOUBT * elapsed_s
        elif self._holds:
            held_s = held_s - elapsed_s

        flips = None
        gain = np.where(self.exchanged | (gain <= 0), gain, gain - np.maximum(cost[:, 1] - MISFIT, 0))
        if np.maximum(gain, 0).sum() > SUSPICIOUS:
            flips = _flips(gain, self.exchanged)
            if flips is None:
                trust_s[_suspicious(gain)] = DISTRUST_S
            else:
                held_s = self._trust_s
        self._trust_s = np.where(self.exchanged, held_s, trust_s) if self._holds else trust_s
        return flips

    def _turn(self, pairs: Bools) -> None:
        self.exchanged = self.exchanged ^ pairs
        self._holds = bool(self.exchanged.any())

    def _follow(self, place: Points, predicted: Points, seen: Bools, elapsed_s: float) -> None:
        """Take in the keypoints that were `seen` where they were expected, or anywhere if nothing is known of them."""
        nearer = 1 - exp(-elapsed_s / PLACE_S)
        faster_per_s = nearer * (1 - exp(-elapsed_s / SPEED_S)) / max(elapsed_s, 1e-3)
        off = np.where(seen, place - predicted, 0)
        anew = seen & np.isinf(self._unseen_s)
        self._place = np.where(anew, place, predicted + nearer * off)
        self._speed = np.where(anew, 0, exp(-elapsed_s / COASTING_S) * self._speed + faster_per_s * off)
        self._unseen_s[seen] = 0

    def _give_up(self) -> None:
        """Believe the detector: what is known of a keypoint was the other one's."""
        turned = self.exchanged
        for known in (self._place, self._speed, self._unseen_s):
            known[turned] = known[turned, ::-1]
        self._trust_s[turned] = DISTRUST_S
        self._turn(turned)


def _another_scene(cost: Doubles, off: Points, scale_px2: Doubles, tells: Bools) -> bool:
    """Whether the middles of most pairs are not where they were expected; neither an exchange nor half of one moves them."""
    limit = CUT * np.count_nonzero(tells)
    if cost.sum() <= (FREEDOM / 2 + 1) * limit:  # a middle cannot be farther off than its two keypoints together
        return False
    middle = off.sum(1) / 2
    error = 2 * (middle.real**2 + middle.imag**2) / scale_px2.mean(1)
    return bool(np.log1p(error / FREEDOM).sum() > limit)


def _flips(gain: Doubles, exchanged: Bools) -> Bools | None:
    """The pairs [8] whose turning is most likely, by the log-likelihood [8] that each one's gains; None where that is none's."""
    flips, best = np.zeros(PAIRS, np.bool_), 0.0
    likely = np.maximum(gain, 0)
    for limb in LIMBS:
        gained = likely[limb].sum() - LIMB_COST
        if gained > 0:
            whole = gain[limb].sum() > likely[limb].sum() - FOLLOWS
            flips[limb] = whole | (gain[limb] > 0)
            best += gained
    back = gain[exchanged].sum() - RETURN_COST
    if back > best:
        flips, best = exchanged.copy(), back
    if gain.sum() - BODY_COST > best:
        flips = np.ones(PAIRS, np.bool_)
    if (flips & exchanged).any():
        flips &= exchanged  # who jumps while others come back comes back too, from an exchange that was not seen
    return flips if flips.any() else None


def _suspicious(gain: Doubles) -> Bools:
    """The pairs [8] that were perhaps exchanged: by what each, its limb or the whole body gains."""
    suspects = gain > SUSPICIOUS
    for limb in LIMBS:
        suspects[limb] |= gain[limb].sum() > SUSPICIOUS
    return np.asarray(suspects | (gain.sum() > SUSPICIOUS))
