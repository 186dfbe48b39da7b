"""A detection cell: train by stock Ultralytics from scratch, then COCO AP of the model's own predictions on val."""

import os
from pathlib import Path
from typing import Any

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from experiments.cells.per_image import score_images, score_subsets
from experiments.cells.pictures import save_pictures
from experiments.cells.record import hash_files, write_json
from experiments.metrics.coco_ap import CocoImages
from experiments.metrics.cost import torch_device
from experiments.metrics.peak_memory import PeakMemory
from experiments.metrics.tide import error_types
from experiments.spec.spec import Model
from experiments.spec.strict import SpecError
from experiments.trainers.yolo.capacity_control import scaled, write_scaled
from experiments.trainers.yolo.checks import check_options, check_yolo
from experiments.trainers.yolo.detection_data import DetectionData, data_of, ground_truth, image_size
from experiments.trainers.yolo.train import CURVES, measure_cost, train
from yoloplug.bridge.model import opened
from yoloplug.bridge.training import quiet

__all__ = [
    "check_cell",
    "check_data",
    "check_model",
    "check_options",
    "listed_images",
    "measure_cost",
    "run_cell",
]


def check_model(model: Model) -> None:
    """Build the model once, so that a wrong name or block is found before hours are spent."""
    if model.imgsz:
        raise SpecError(
            f"models: {model.label}: imgsz of its own is for task: segment; here budget.imgsz holds for all"
        )
    check_yolo(model, "detect")


def check_data(cell: Cell) -> str:
    """Read every label, and of every image its size, once; the content hash."""
    data = data_of(cell)
    for image in (*data.train, *data.val):
        image_size(image)
    return hash_files(data.files)


def listed_images(cell: Cell, listed: Path) -> list[str]:
    """Names of the val images that the text file lists. Raises SpecError on a name that is none of them."""
    from segplug.errors import SegplugError
    from segplug.evaluation.exclude import kept_images

    images = data_of(cell).val
    try:
        keep = kept_images(listed, images)
    except SegplugError as error:
        raise SpecError(str(error)) from error
    return [image.name for image, kept in zip(images, keep, strict=True) if not kept]


def check_cell(cell: Cell) -> None:
    """Find the widths of a matched model; SpecError where there are none."""
    if cell.model.matched_to:
        scaled(cell.model, len(data_of(cell).names), cell.spec.budget.imgsz)


def run_cell(cell: Cell, epochs: Epochs) -> dict[str, Any]:
    """Train (or go on training), predict, score. Returns the row's `metrics`, `cost`, `train`, `method`, `files`."""
    data = data_of(cell)
    model, matched = cell.model.model, {}
    if cell.model.matched_to:
        path, about = write_scaled(cell.model, len(data.names), cell.spec.budget.imgsz, cell.folder)
        model, matched = str(path), {"matched": about}
    memory = PeakMemory(torch_device(cell.spec.budget.device))
    with quiet():
        weights, diverged = train(cell, model, "detect", lambda: data.write_yaml(cell.folder), cell.spec.train, epochs)
        spent = epochs.summary(len(data.train)) | memory.summary()
        if weights is None:
            return _diverged_row(cell, epochs) | matched
        truth = ground_truth(data.val, data.names)
        predictions = _predict(weights, data, cell)
    write_json(cell.folder / "ground_truth.json", truth)
    write_json(cell.folder / "predictions.json", predictions)
    save_pictures(cell.pictures, data.val)
    images = CocoImages(truth, predictions)
    return {
        **score_images(images),
        "subsets": score_subsets(images, cell.excluded),
        "errors": error_types(truth, predictions),
        "diverged": diverged,
        "cost": measure_cost(weights, cell.spec.budget, cell.spec.protocol),
        "train": spent,
        "method": _method(cell, data),
        **matched,
        "files": {
            "curves": CURVES,
            "per_image": ["ground_truth.json", "predictions.json"],
            "pictures": os.path.relpath(cell.pictures, cell.folder),
            "weights": "train/weights/last.pt",
        },
    }


def _predict(weights: Path, data: DetectionData, cell: Cell) -> list[dict[str, Any]]:
    """COCO result list: box x, y, w, h in original pixels, category class + 1, image ids in the order of `data.val`."""
    budget, protocol = cell.spec.budget, cell.spec.protocol
    yolo = opened(weights)
    found = []
    for image_id, image in enumerate(data.val, start=1):
        answer: Any = yolo.predict(
            str(image),
            conf=protocol.conf,
            iou=protocol.iou,
            max_det=protocol.max_det,
            imgsz=budget.imgsz,
            device=budget.device,
            verbose=False,
            save=False,
        )
        result = answer[0]
        for (x1, y1, x2, y2), score, cls in zip(
            result.boxes.xyxy.tolist(), result.boxes.conf.tolist(), result.boxes.cls.tolist(), strict=True
        ):
            box = [x1, y1, x2 - x1, y2 - y1]
            found.append({"image_id": image_id, "category_id": int(cls) + 1, "bbox": box, "score": score})
    return found


def _method(cell: Cell, data: DetectionData) -> dict[str, Any]:
    protocol = cell.spec.protocol
    return {
        "weights": "random start, last epoch (val is the only other split, so nothing is selected on it)",
        "checkpoint": "last",
        "split": _split(cell, data),
        "predictions": f"model.predict, one label a box, conf >= {protocol.conf}, NMS IoU {protocol.iou}, "
        f"at most {protocol.max_det} an image, {cell.spec.budget.imgsz} px",
        "metric": "COCOeval: AP = mean over IoU 0.50:0.95, 100 detections an image; "
        "S < 32^2 <= M < 96^2 <= L px^2 of box area in the original image",
    }


def _split(cell: Cell, data: DetectionData) -> str:
    source = cell.source
    if source.val_share is None:
        return f"val, {len(data.val)} images"
    return (
        f"{len(data.val)} of the {len(data.train) + len(data.val)} training images, drawn in proportion to their "
        f"classes (val_share {source.val_share:g}, split_seed {source.split_seed}) and not trained on"
    )


def _diverged_row(cell: Cell, epochs: Epochs) -> dict[str, Any]:
    data = data_of(cell)
    return {
        "metrics": {},
        "per_class": {},
        "diverged": True,
        "cost": {},
        "train": epochs.summary(len(data.train)),
        "method": _method(cell, data),
        "files": {"curves": CURVES},
    }
