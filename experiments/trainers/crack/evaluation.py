"""What every segmentation cell keeps of its test images, whoever trained the model: segplug's scores, pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.cells.cell import Cell
from experiments.cells.row import Result
from experiments.evidence.masks import FILES, CrackImages, name_photos, save_masks, save_target, shrink_mask
from experiments.evidence.pictures import kept
from experiments.evidence.scores import score_subsets
from experiments.metrics.crack_errors import CrackErrors
from segplug.evaluation.run import OnImage
from yoloplug.files import write_json

METRIC = (
    "TP, FP, FN, TN of crack pixels summed over the set, 0 px tolerance; "
    "iou_crack = TP/(TP+FP+FN), miou = mean with the background's IoU, f1 = 2TP/(2TP+FP+FN), "
    "iou_per_image = mean over images, ods_* at the one best threshold, ois_* at each image's best; "
    "f1_tol*, cldice, hd95_px, ap, scs_compat_*: as segplug.metrics.DEFINITIONS states"
)


def crack_row(cell: Cell, judge: Callable[[OnImage, Path], dict[str, Any]]) -> tuple[dict[str, Any], Result]:
    """segplug's evaluation, and the row's `metrics`, `subsets` and `errors`; FILES and pictures are written on the way.

    judge: evaluates the test split, showing each image to the `look` given and saving contributions at the path given.
    """
    wanted = set(kept(len(cell.data.test)))
    errors, masks = CrackErrors(), {}

    def on_image(
        index: int, image: NDArray[np.uint8], target: NDArray[np.bool_], prediction: NDArray[np.bool_]
    ) -> None:
        errors.add(prediction, target)
        if index in wanted:
            save_target(cell.pictures, index, image, target)
            masks[index] = shrink_mask(prediction)

    contributions = cell.folder / FILES["contributions"]
    result = judge(on_image, contributions)
    if cell.photos:
        name_photos(contributions, cell.photos)
    save_masks(cell.folder / FILES["masks"], masks)
    write_json(cell.folder / FILES["per_image"][0], result["per_image"], indent=1)
    return result, {
        "metrics": result["metrics"],
        "subsets": score_subsets(CrackImages(contributions), cell.excluded),
        "errors": errors.shares(),
    }


def pictures_of(cell: Cell) -> str:
    """Relative to the cell's folder."""
    return os.path.relpath(cell.pictures, cell.folder)


def broken_down(reason: str, spent: dict[str, Any]) -> Result:
    """The row of a training that ended in NaN."""
    return {
        "metrics": {},
        "diverged": True,
        "reason": reason,
        "cost": {},
        "train": spent,
        "method": {},
        "files": {},
    }
