"""Sums over images: `MetricSum` holds what training watches, `AllMetrics` everything that `segplug eval` prints."""

from __future__ import annotations

import math
from dataclasses import asdict, astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Mask, Pixels
from segplug.errors import check_threshold
from segplug.metrics.contributions import Contributions, near_scores, pixel_scores
from segplug.metrics.counts import Counts, count, iou_crack, miou
from segplug.metrics.curve import CurveSum, histogram
from segplug.metrics.distance import distance_to_outline, hd95_px
from segplug.metrics.scs_compat import ScsCounts, scs_counts
from segplug.metrics.tolerance import TOLERANCES_PX, ToleranceCounts, count_within
from segplug.metrics.topology import cldice, count_skeletons

Row = dict[str, str | int | float]


class MetricSum:
    """Pixel metrics; memory does not grow with the number or size of images."""

    def __init__(self, threshold: float = 0.5) -> None:
        check_threshold(threshold)
        self.threshold = threshold
        self.counts = Counts()
        self.images = 0
        self._iou_sum = 0.0
        self._miou_sum = 0.0
        self._curve = CurveSum()

    def add(self, probability: NDArray[np.floating], mask: NDArray[np.integer], valid: Mask | None = None) -> Counts:
        """Add one image: (H, W) crack probability in [0, 1] and (H, W) mask of 0 and 1. Returns its counts.

        Pixels where `valid` is False are left out. Raises ValueError on unequal shapes, NaN, no valid pixel.
        """
        flat, labels = _labelled(probability, mask, valid)
        counts = count(flat >= self.threshold, labels)
        self._curve.add(flat, labels)
        self.counts += counts
        self.images += 1
        self._iou_sum += iou_crack(counts)
        self._miou_sum += miou(counts)
        return counts

    def __iadd__(self, other: MetricSum) -> MetricSum:
        """Add the images of another sum of the same threshold, such as another process's share."""
        if other.threshold != self.threshold:
            raise ValueError(f"thresholds differ: {self.threshold} and {other.threshold}")
        self.counts += other.counts
        self.images += other.images
        self._iou_sum += other._iou_sum
        self._miou_sum += other._miou_sum
        self._curve += other._curve
        return self

    def scores(self) -> dict[str, float]:
        """Every metric by its name. Raises ValueError before the first image."""
        if self.images == 0:
            raise ValueError("no image was added")
        return {
            **pixel_scores(self.counts),
            "iou_per_image": self._iou_sum / self.images,
            "miou_per_image": self._miou_sum / self.images,
            **self._curve.scores(),
        }


class AllMetrics:
    """Every metric of `segplug.metrics.DEFINITIONS`, from what each image contributes (some tens of kB)."""

    def __init__(self, threshold: float = 0.5) -> None:
        check_threshold(threshold)
        self.threshold = threshold
        self.rows: list[Row] = []
        self._images: list[_Image] = []

    def add(
        self,
        name: str,
        probability: NDArray[np.floating],
        mask: NDArray[np.integer],
        saved: Pixels,
        saved_target: Mask,
        valid: Mask | None = None,
    ) -> Row:
        """Add one image as `MetricSum.add` takes it, and its prediction and label as SCSegamba's protocol saves them.

        saved, saved_target: of one shape, less the pixels without a label. Returns the image's row.
        """
        flat, labels = _labelled(probability, mask, valid)
        counts = count(flat >= self.threshold, labels)
        prediction, target = probability >= self.threshold, mask.astype(bool)
        if valid is not None:
            prediction, target = prediction & valid, target & valid
        diagonal_px = math.hypot(*target.shape)
        prediction, target = _crop(prediction, target)
        to_prediction, to_target = distance_to_outline(prediction), distance_to_outline(target)
        near = {r: count_within(prediction, target, to_prediction, to_target, r) for r in TOLERANCES_PX}
        lines = count_skeletons(prediction, target)
        row: Row = {
            "name": name,
            **asdict(counts),
            **pixel_scores(counts),
            **near_scores(near),
            "cldice": cldice(lines),
            "hd95_px": hd95_px(prediction, target, to_prediction, to_target, diagonal_px),
            "one_mask_empty": int(prediction.any() != target.any()),
        }
        self.rows.append(row)
        pixels = histogram(flat, labels).ravel()
        bins = np.flatnonzero(pixels)
        near_counts = np.array([near[r] for r in TOLERANCES_PX])
        scs = scs_counts(saved, saved_target)
        self._images.append(
            _Image(counts, bins.astype(np.uint16), pixels[bins].astype(np.uint32), near_counts, lines, scs)
        )
        return row

    def contributions(self) -> Contributions:
        """What every image so far adds to the metrics. Raises ValueError before the first image."""
        images = self._images
        if not images:
            raise ValueError("no image was added")
        return Contributions(
            names=np.array([str(row["name"]) for row in self.rows]),
            counts=np.array([astuple(image.counts) for image in images], dtype=np.int64),
            starts=np.cumsum([0, *(len(image.bins) for image in images)], dtype=np.int64),
            bins=np.concatenate([image.bins for image in images]),
            pixels=np.concatenate([image.pixels for image in images]),
            near=np.stack([image.near for image in images]).astype(np.int64),
            lines=np.array([image.lines for image in images], dtype=np.int64),
            hd95_px=np.array([float(row["hd95_px"]) for row in self.rows]),
            one_mask_empty=np.array([bool(row["one_mask_empty"]) for row in self.rows]),
            scs_pooled=np.stack([image.scs.pooled for image in images]).astype(np.int64),
            scs_f1=np.stack([image.scs.f1 for image in images]),
            scs_miou=np.stack([image.scs.miou for image in images]),
        )

    def scores(self) -> dict[str, float]:
        """Every metric by its name, in the order of DEFINITIONS. Raises ValueError before the first image."""
        return self.contributions().scores()


@dataclass(frozen=True)
class _Image:
    """One image's share of `Contributions`."""

    counts: Counts
    bins: NDArray[np.uint16]
    pixels: NDArray[np.uint32]
    near: NDArray[np.int64]
    lines: ToleranceCounts
    scs: ScsCounts


def _labelled(
    probability: NDArray[np.floating], mask: NDArray[np.integer], valid: Mask | None
) -> tuple[NDArray[np.floating], Mask]:
    """(pixels,) probabilities and labels where `valid`. Raises ValueError on what cannot be scored."""
    shapes = {probability.shape, mask.shape} | (set() if valid is None else {valid.shape})
    if len(shapes) > 1:
        raise ValueError(f"probability {probability.shape}, mask {mask.shape} and valid differ in shape: {shapes}")
    target = mask.astype(bool)
    flat, labels = (probability.ravel(), target.ravel()) if valid is None else (probability[valid], target[valid])
    if flat.size == 0:
        raise ValueError("no valid pixel")
    if not np.isfinite(flat).all():
        raise ValueError("probability holds NaN or infinity")
    if flat.min() < 0 or flat.max() > 1:
        raise ValueError(f"probability must lie in [0, 1], got {flat.min()} to {flat.max()}")
    return flat, labels


def _crop(prediction: Mask, target: Mask) -> tuple[Mask, Mask]:
    """Both masks cut to the box around them: nothing outside it is within reach of a distance or a skeleton."""
    rows, columns = (np.flatnonzero((prediction | target).any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return prediction[:1, :1], target[:1, :1]
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(prediction[box]), np.ascontiguousarray(target[box])
