"""Several people, each followed by a top-down network of the user's own, such as RTMPose, ViTPose or HRNet.

Such a network takes one picture of a person, float32 [1, 3, height, width], RGB. Its export leaves the normalisation out: it expects
ImageNet's mean and standard deviation, as in mmpose's configs (`data_preprocessor` of rtmpose-m_8xb256-420e_coco-256x192.py and of
td-hm_ViTPose-small_8xb64-210e_coco-256x192.py; Apache-2.0) and in `Normalize` of mmdeploy's pipelines.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import cv2
import numpy as np

from poselift.common.arrays import Doubles, Floats, Pixels
from poselift.common.errors import DeviceError, ModelError
from poselift.common.people import with_feet
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models.backends.backend import Model
from poselift.models.detection.boxes import box_around, scaled
from poselift.models.detection.person_network import Seen
from poselift.models.detection.pose_outputs import FEET_AMONG, form_of
from poselift.models.detection.top_down import TopDown

MEAN, DEVIATION = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)
"""Of red, green and blue, 0 to 255."""
NORMALISED = np.ascontiguousarray(((np.arange(256, dtype=np.float32)[:, np.newaxis] - MEAN) / DEVIATION)[np.newaxis, :, ::-1])
"""float32[1, 256, 3]: what the network sees for each value of blue, green and red."""
PADDING = 1.25
"""A region's size in that of the box around the body, as in mmpose (`GetBBoxCenterScale`)."""
AROUND_KEYPOINTS, CONFIDENT = 1.25, 0.5
"""That box's size in that of the one around the keypoints of such a confidence (mmdeploy's tracker: `pose_bbox_scale`, `pose_kpt_thr`)."""
SHOULDERS, HIPS, ANKLES = [5, 6], [11, 12], [15, 16]
LEG = 1.7
"""From the hips to the ankles, in lengths from the shoulders to the hips (heights of the three: 0.818, 0.530 and 0.039 of the body's, in
Winter, "Biomechanics and Motor Control of Human Movement", after Drillis and Contini)."""


class Upright(NamedTuple):
    """A region of a picture: its centre and its size, px."""

    x_px: float
    y_px: float
    width_px: float
    height_px: float

    @property
    def box(self) -> Doubles:
        """See `poselift.models.detection.person_network.PersonState`."""
        return np.array(self)

    def scaled(self, factor: float) -> Upright:
        """See `poselift.models.detection.person_network.PersonState`."""
        return Upright(*scaled(self, factor))

    def to_picture(self, span_px: tuple[float, float]) -> Doubles:
        """float64[2, 3]: takes pixels (x, y, 1) of the region, which spans so many, to pixels of the picture."""
        across, down = self.width_px / span_px[0], self.height_px / span_px[1]
        return np.array([[across, 0, self.x_px - self.width_px / 2], [0, down, self.y_px - self.height_px / 2]])


class CocoPerson:
    """A `poselift.models.detection.person_network.PersonNetwork`: a person is there where the mean confidence is `min_presence` or more.

    Raises ModelError where the network takes or gives something else.
    """

    def __init__(self, network: Model, min_presence: float) -> None:
        self._network, self._min_presence = network, min_presence
        self._name, self._size = _picture_of(network)
        width, height = self._size
        try:
            outputs = network.run({self._name: np.zeros((1, 3, height, width), np.float32)})
        except DeviceError:
            raise
        except Exception as error:  # a backend's own types
            raise ModelError(f"this network does not run on a picture of {width}x{height} ({str(error).splitlines()[0]})") from error
        form = form_of(outputs, width, height)
        if form is None:
            given = ", ".join(f"{name} {output.dtype} {list(output.shape)}" for name, output in outputs.items())
            raise ModelError(
                f"this network has outputs {given} for a picture of {width}x{height}; expected keypoints as SimCC "
                f"(simcc_x [1, N, {2 * width}] and simcc_y [1, N, {2 * height}]) or as heatmaps [1, N, {height // 4}, {width // 4}], "
                f"with N = {' or '.join(map(str, FEET_AMONG))}: COCO's, Halpe's or COCO-WholeBody's"
            )
        self._form = form

    def confirm(self, picture: Pixels, box: Doubles) -> Optional[Seen[Upright]]:
        """See `poselift.models.detection.person_network.PersonNetwork`."""
        return self._look(picture, self._around(box, 1.0))

    def follow(self, picture: Pixels, known: Upright, elapsed_s: float) -> Optional[Seen[Upright]]:
        """See `poselift.models.detection.person_network.PersonNetwork`."""
        return self._look(picture, known)

    def _look(self, picture: Pixels, region: Upright) -> Optional[Seen[Upright]]:
        """The person in a region."""
        matrix = region.to_picture(self._form.span_px)
        answer = self._network.run({self._name: self._cut_out(picture, matrix)})
        points = self._form.decode(*(answer[name] for name in self._form.outputs))[self._form.ours]
        confidence = np.clip(points[:, 2:], 0, 1)
        if not confidence[: len(COCO_KEYPOINTS)].mean() >= self._min_presence:
            return None
        left_top, size = np.array(region[:2]) - np.array(region[2:]) / 2, np.array(region[2:])
        keypoints = np.hstack([points[:, :2] * size + left_top, confidence]).astype(np.float32)
        body = keypoints[: len(COCO_KEYPOINTS)]
        sure = body[body[:, 2] >= CONFIDENT, :2]
        inside = np.clip(np.concatenate([sure, _feet(body)]), 0, np.array(picture.shape[1::-1], np.float32))
        if not len(sure) or np.ptp(inside, axis=0).max() < 1:  # nowhere to look in the next picture
            return None
        return Seen(self._around(box_around(inside), AROUND_KEYPOINTS), with_feet(keypoints), None, box_around(sure))

    def _around(self, box: Doubles, margin: float) -> Upright:
        """The region around a box that is to be so many times as large, in the form of the network's picture."""
        x_px, y_px, width_px, height_px = (box * [1, 1, PADDING * margin, PADDING * margin]).tolist()
        form = self._size[0] / self._size[1]
        return Upright(x_px, y_px, max(width_px, height_px * form), max(height_px, width_px / form))

    def _cut_out(self, picture: Pixels, matrix: Doubles) -> Floats:
        """float32[1, 3, height, width] RGB, normalised; black outside of the picture."""
        cut = cv2.warpAffine(picture, matrix, self._size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT)
        planes = np.stack(cv2.split(cv2.LUT(cut, NORMALISED))[::-1])[np.newaxis]
        return planes.astype(np.float32, copy=False)


class CocoPeople(TopDown[Upright]):
    """Up to so many `people`.

    `finder` is EfficientDet-Lite0, `network` the user's. A person needs `min_score` in the finder, and a mean confidence of `min_presence`
    in the network, to be found; that in every picture, to be followed. Raises ModelError where a network is not what it should be.
    """

    def __init__(self, finder: Model, network: Model, min_score: float, min_presence: float, people: int) -> None:
        super().__init__(finder, CocoPerson(network, min_presence), min_score, people)


def _feet(keypoints: Floats) -> Floats:
    """[N, 2]: where the ankles are if somebody stands whose ankles are not seen, though shoulders and hips are: so they are looked for."""
    shoulders, hips, ankles = (keypoints[of] for of in (SHOULDERS, HIPS, ANKLES))
    if min(shoulders[:, 2].min(), hips[:, 2].min()) < CONFIDENT or ankles[:, 2].min() >= CONFIDENT:
        return np.empty((0, 2), np.float32)
    hip = hips[:, :2].mean(0)
    feet: Floats = (hip + LEG * (hip - shoulders[:, :2].mean(0)))[np.newaxis]
    return feet


def _picture_of(network: Model) -> tuple[str, tuple[int, int]]:
    """Name, width and height of the picture that a network takes. Raises ModelError where it takes something else."""
    if len(network.inputs) == 1:
        ((name, dtype, shape),) = network.inputs
        if dtype == np.float32 and len(shape) == 4 and shape[0] in (1, -1) and shape[1] == 3 and min(shape[2:]) > 1:
            return name, (shape[3], shape[2])
    given = ", ".join(f"{tensor.name} {tensor.dtype} {list(tensor.shape)}" for tensor in network.inputs)
    raise ModelError(
        f"this network takes {given or 'nothing'} (-1: any size); expected one float32 picture [1, 3, height, width] of a known size"
    )
