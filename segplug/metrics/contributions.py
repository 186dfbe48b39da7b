"""What each image adds to every metric, so that any choice of images is scored without its predictions.

Metrics of a set are no means over images: counts, histograms and per-threshold values are summed first, then scored.
Kept per image, the same sums serve the whole set, a part of it, and a bootstrap sample in which images occur twice.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Mask, Points
from segplug.errors import SegplugError
from segplug.metrics.counts import Counts, f1, iou_crack, miou, precision, recall
from segplug.metrics.curve import AP_BINS, CurveSum, best_counts
from segplug.metrics.scs_compat import scs_scores
from segplug.metrics.tolerance import TOLERANCES_PX, ToleranceCounts, f1_tolerance
from segplug.metrics.topology import cldice
from yoloplug.files import write

AT_ONCE = 128  # sets or images; bounds memory
Ints = NDArray[np.int64]
Multiplicity = NDArray[np.integer] | Mask


@dataclass(frozen=True)
class Contributions:
    """Arrays over n images. Histograms are sparse: image i has `pixels[starts[i]:starts[i + 1]]` in those `bins`.

    counts (n, 4): TP, FP, FN, TN. bins: place in `histogram`'s (2, AP_BINS), flattened. near (n, 3, 4), lines (n, 4):
    ToleranceCounts for TOLERANCES_PX and of skeletons. scs_pooled (n, 3), scs_f1, scs_miou (n, 100): ScsCounts.
    groups (n,): the photo that each image is a part of, where that is known.
    """

    names: NDArray[np.str_]
    counts: Ints
    starts: Ints
    bins: NDArray[np.uint16]
    pixels: NDArray[np.uint32]
    near: Ints
    lines: Ints
    hd95_px: Points
    one_mask_empty: Mask
    scs_pooled: Ints
    scs_f1: Points
    scs_miou: Points
    groups: NDArray[np.str_] | None = None

    def scores(self, multiplicity: Multiplicity | None = None) -> dict[str, float]:
        """Every metric of DEFINITIONS for a set that holds image i `multiplicity[i]` times, (n,); None: each once.

        Raises ValueError on another shape, a negative number, or no image at all.
        """
        every = np.ones(len(self.names), dtype=np.int64)
        return self.scores_of_sets((every if multiplicity is None else multiplicity)[None])[0]

    def scores_of_sets(self, multiplicities: Multiplicity) -> list[dict[str, float]]:
        """`scores` of each row of (sets, n), such as the samples of a bootstrap."""
        sets = multiplicities.astype(np.int64)
        if sets.ndim != 2 or sets.shape[1] != len(self.names):
            raise ValueError(f"multiplicity must hold one number for each of {len(self.names)} images: {sets.shape}")
        if sets.min(initial=0) < 0 or (sets.sum(axis=1) == 0).any():
            raise ValueError("multiplicity must hold no negative number and at least one image")
        return [
            self._score(times, pooled)
            for chunk in np.split(sets, range(AT_ONCE, len(sets), AT_ONCE))
            for times, pooled in zip(chunk, self._pooled(chunk), strict=True)
        ]

    def _score(self, times: Ints, pooled: Ints) -> dict[str, float]:
        images = int(times.sum())
        counts = Counts(*map(int, times @ self.counts))
        curve = CurveSum(pooled, Counts(*map(int, times @ self._best)))
        near = {r: ToleranceCounts(*map(int, times @ self.near[:, k])) for k, r in enumerate(TOLERANCES_PX)}
        lines = ToleranceCounts(*map(int, times @ self.lines))
        return {
            **pixel_scores(counts),
            "iou_per_image": float(times @ self._per_image["iou"]) / images,
            "miou_per_image": float(times @ self._per_image["miou"]) / images,
            **curve.scores(),
            **near_scores(near),
            "cldice": cldice(lines),
            "cldice_per_image": float(times @ self._per_image["cldice"]) / images,
            "false_line_px": (lines.predicted - lines.right) / images,
            "false_alarm_share": counts.fp / max(1, counts.fp + counts.tn),
            "hd95_px": float(times @ self.hd95_px) / images,
            "hd95_px_median": float(np.median(np.repeat(self.hd95_px, times))),
            "one_mask_empty": int(times @ self.one_mask_empty),
            **scs_scores(times, self.scs_pooled, self.scs_f1, self.scs_miou),
        }

    def save(self, path: Path) -> None:
        """Write a compressed .npz, whole or not at all. Raises WriteError."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: array for name, array in every.items() if array is not None}
        write(path, lambda part: np.savez_compressed(part, **arrays))

    @staticmethod
    def load(path: Path) -> Contributions:
        """Read what `save` wrote. Raises SegplugError with the remedy when it is something else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return Contributions(**arrays)
        except (OSError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise SegplugError(f"{path}: no per-image file of segplug ({error}); run segplug eval again") from error

    def _pooled(self, sets: Ints) -> Ints:
        """(sets, 2, AP_BINS) histograms. In float64, whose products are fast, and exact below 2^53 pixels."""
        pooled = np.zeros((len(sets), 2 * AP_BINS))
        for start in range(0, len(self.names), AT_ONCE):
            block = slice(start, start + AT_ONCE)
            pooled += sets[:, block].astype(np.float64) @ self._histograms(start, min(start + AT_ONCE, len(self.names)))
        return pooled.astype(np.int64).reshape(-1, 2, AP_BINS)

    def _histograms(self, start: int, stop: int) -> Points:
        """(images, 2 AP_BINS) of the images from `start` to before `stop`."""
        dense = np.zeros((stop - start, 2 * AP_BINS))
        inside = slice(self.starts[start], self.starts[stop])
        image = np.repeat(np.arange(stop - start), np.diff(self.starts[start : stop + 1]))
        dense[image, self.bins[inside]] = self.pixels[inside]
        return dense

    @cached_property
    def _best(self) -> Ints:
        """(n, 4) counts at each image's own best threshold."""
        best = [
            best_counts(self._histograms(i, i + 1).astype(np.int64).reshape(2, AP_BINS)) for i in range(len(self.names))
        ]
        return np.array([(c.tp, c.fp, c.fn, c.tn) for c in best], dtype=np.int64)

    @cached_property
    def _per_image(self) -> dict[str, Points]:
        """(n,) scores whose mean over images is a metric."""
        counts = [Counts(*map(int, row)) for row in self.counts]
        return {
            "iou": np.array([iou_crack(c) for c in counts]),
            "miou": np.array([miou(c) for c in counts]),
            "cldice": np.array([cldice(ToleranceCounts(*map(int, row))) for row in self.lines]),
        }


def pixel_scores(c: Counts) -> dict[str, float]:
    """Metrics of counts at one threshold, by name."""
    return {metric.__name__: metric(c) for metric in (iou_crack, miou, f1, precision, recall)}


def near_scores(near: dict[int, ToleranceCounts]) -> dict[str, float]:
    """f1_tol{r}px of each radius."""
    return {f"f1_tol{r}px": f1_tolerance(counts) for r, counts in near.items()}
