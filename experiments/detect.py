"""A detection cell: train by stock Ultralytics from scratch, then COCO AP of the model's own predictions on val."""

import copy
import csv
import math
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch

from experiments.coco_ap import coco_ap, coco_ap_per_class
from experiments.cost import cost, torch_device
from experiments.detection_data import DetectionData, ground_truth, open_detection
from experiments.error_types import error_types
from experiments.examples import save_pictures
from experiments.ledger import Epochs
from experiments.matched import scaled, write_scaled
from experiments.memory import PeakMemory
from experiments.record import hash_files, write_json
from experiments.spec import Budget, Cell, Protocol
from experiments.statistics.coco_sets import CocoImages
from experiments.statistics.subsets import score_subsets
from experiments.strict import SpecError
from experiments.yolo_checks import check_model, check_options, quiet

__all__ = [
    "check_data",
    "check_match",
    "check_model",
    "check_options",
    "listed_images",
    "measure_cost",
    "run_cell",
]

_NAN_MESSAGES = ("NaN persisted", "NaN/Inf")


def check_data(path: Path) -> str:
    """Read every label once; the content hash."""
    return hash_files(open_detection(path).files)


def listed_images(data: Path, listed: Path) -> list[str]:
    """Names of the val images that the text file lists. Raises SpecError on a name that is none of them."""
    from segplug.errors import SegplugError
    from segplug.exclude import kept_images

    images = open_detection(data).val
    try:
        keep = kept_images(listed, images)
    except SegplugError as error:
        raise SpecError(str(error)) from error
    return [image.name for image, kept in zip(images, keep, strict=True) if not kept]


def check_match(cell: Cell) -> None:
    """Find the widths of a matched model; SpecError where there are none."""
    scaled(cell.model, len(open_detection(cell.data).names), cell.spec.budget.imgsz)


def run_cell(cell: Cell, epochs: Epochs) -> dict[str, Any]:
    """Train (or go on training), predict, score. Returns the row's `metrics`, `cost`, `train`, `method`, `files`."""
    data = open_detection(cell.data)
    model, matched = cell.model.model, {}
    if cell.model.matched_to:
        path, about = write_scaled(cell.model, len(data.names), cell.spec.budget.imgsz, cell.folder)
        model, matched = str(path), {"matched": about}
    memory = PeakMemory(torch_device(cell.spec.budget.device))
    with quiet():
        weights, diverged = _train(cell, model, data, epochs)
        spent = epochs.summary(len(data.train)) | memory.summary()
        if weights is None:
            return _diverged_row(cell, epochs) | matched
        truth = ground_truth(data.val, data.names)
        predictions = _predict(weights, data, cell)
    write_json(cell.folder / "ground_truth.json", truth)
    write_json(cell.folder / "predictions.json", predictions)
    save_pictures(cell.pictures, data.val)
    return {
        "metrics": coco_ap(truth, predictions),
        "per_class": coco_ap_per_class(truth, predictions),
        "subsets": score_subsets(CocoImages(truth, predictions), cell.excluded) if cell.excluded else {},
        "errors": error_types(truth, predictions),
        "diverged": diverged,
        "cost": measure_cost(weights, cell.spec.budget, cell.spec.protocol),
        "train": spent,
        "method": _method(cell, data),
        **matched,
        "files": {
            "curves": "train/results.csv",
            "per_image": ["ground_truth.json", "predictions.json"],
            "pictures": os.path.relpath(cell.pictures, cell.folder),
            "weights": "train/weights/last.pt",
        },
    }


def measure_cost(weights: Path, budget: Budget, protocol: Protocol) -> dict[str, Any]:
    """Cost of a trained model, timed as Ultralytics fuses it."""
    from ultralytics import YOLO

    torch.set_num_threads(budget.threads)
    with quiet():
        trained: Any = YOLO(str(weights)).model
        trained.float()
        return cost(trained, copy.deepcopy(trained).fuse(verbose=False), budget, protocol)


def _train(cell: Cell, model: str, data: DetectionData, epochs: Epochs) -> tuple[Path | None, bool]:
    """The last epoch's weights (None when training broke down to NaN) and whether a loss was ever not finite."""
    from ultralytics import YOLO

    last = cell.folder / "train" / "weights" / "last.pt"
    saved = cell.folder / "last_saved.pt"
    if not _whole(last) and _whole(saved):
        shutil.copyfile(saved, last)  # killed while last.pt was being written
    best = last.with_name("best.pt")
    if best.exists() and not _whole(best):
        best.unlink()  # cut short by a kill or a full disk; Ultralytics would stumble over it, and only `last` counts
    budget, resume = cell.spec.budget, _whole(last)
    if resume and torch.load(last, map_location="cpu", weights_only=False)["epoch"] < 0:
        return last, _not_finite(cell)  # trained; killed before its row was written
    yolo = YOLO(str(last)) if resume else YOLO(model, task="detect")
    yolo.add_callback("on_train_epoch_start", lambda _: torch.set_num_threads(budget.threads))
    yolo.add_callback("on_model_save", lambda trainer: _save_copy(trainer.last, saved))
    yolo.add_callback("on_fit_epoch_end", lambda trainer: _report(trainer, epochs))
    epochs.start(resumed=resume)
    try:
        if resume:
            yolo.train(resume=True)
        else:
            yolo.train(data=str(data.write_yaml(cell.folder)), **_arguments(cell))
    except RuntimeError as error:
        if not any(message in str(error) for message in _NAN_MESSAGES):
            raise
        return None, True
    saved.unlink(missing_ok=True)
    return last, _not_finite(cell)


def _arguments(cell: Cell) -> dict[str, Any]:
    budget = cell.spec.budget
    options: dict[str, Any] = {"patience": 0, "amp": not budget.device.startswith("cpu"), **cell.spec.train}
    return {
        **options,
        "epochs": budget.epochs,
        "imgsz": budget.imgsz,
        "batch": budget.batch,
        "device": budget.device,
        "workers": budget.workers,
        "seed": cell.seed,
        "deterministic": True,
        "pretrained": False,
        "plots": False,
        "verbose": False,
        "project": str(cell.folder),
        "name": "train",
        "exist_ok": True,
    }


def _predict(weights: Path, data: DetectionData, cell: Cell) -> list[dict[str, Any]]:
    """COCO result list: box x, y, w, h in original pixels, category class + 1, image ids in the order of `data.val`."""
    from ultralytics import YOLO

    budget, protocol = cell.spec.budget, cell.spec.protocol
    yolo = YOLO(str(weights))
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
        "split": f"val, {len(data.val)} images",
        "predictions": f"model.predict, one label a box, conf >= {protocol.conf}, NMS IoU {protocol.iou}, "
        f"at most {protocol.max_det} an image, {cell.spec.budget.imgsz} px",
        "metric": "COCOeval (faster-coco-eval): AP = mean over IoU 0.50:0.95, 100 detections an image; "
        "S < 32^2 <= M < 96^2 <= L px^2 of box area in the original image",
    }


def _diverged_row(cell: Cell, epochs: Epochs) -> dict[str, Any]:
    data = open_detection(cell.data)
    return {
        "metrics": {},
        "per_class": {},
        "diverged": True,
        "cost": {},
        "train": epochs.summary(len(data.train)),
        "method": _method(cell, data),
        "files": {"curves": "train/results.csv"},
    }


def _report(trainer: Any, epochs: Epochs) -> None:
    """After Ultralytics' last epoch this event comes once more, for best.pt; `epoch` is then past the budget."""
    if trainer.epoch < trainer.epochs:
        parts = trainer.tloss.values() if isinstance(trainer.tloss, dict) else trainer.tloss  # dict from 8.4 on
        loss = sum(float(part) for part in parts)
        map_key = next((key for key in trainer.metrics if key.startswith("metrics/mAP50-95")), None)
        monitor = f"val mAP50-95 (Ultralytics) {trainer.metrics[map_key]:.3f}" if map_key else ""
        epochs.done(trainer.epoch + 1, loss, monitor)


def _not_finite(cell: Cell) -> bool:
    path = cell.folder / "train" / "results.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]
    return any(not math.isfinite(float(row[key])) for row in rows for key in row if key.startswith("train/"))


def _whole(checkpoint: Path) -> bool:
    """A checkpoint is a zip file, whose table of contents is written last."""
    return checkpoint.exists() and zipfile.is_zipfile(checkpoint)


def _save_copy(source: Path, target: Path) -> None:
    part = target.with_suffix(".part")
    shutil.copyfile(source, part)
    part.replace(target)
