"""A detection cell: train by stock Ultralytics from scratch, then COCO AP of the model's own predictions on val."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from experiments.cells.row import Method, Result
from experiments.errors import SpecError
from experiments.evidence.boxes import PREDICTIONS, TARGETS
from experiments.evidence.pictures import save_pictures
from experiments.evidence.scores import score_images, score_subsets
from experiments.metrics.coco_ap import CocoImages
from experiments.metrics.cost import torch_device
from experiments.metrics.tide import error_types
from experiments.spec.spec import Dataset, Model
from experiments.trainers.steps import placed, timed_steps
from experiments.trainers.trainer import Steps
from experiments.trainers.yolo.capacity_control import scaled
from experiments.trainers.yolo.checks import check_options as check_options
from experiments.trainers.yolo.checks import check_yolo
from experiments.trainers.yolo.detection_data import DetectionData, ground_truth, open_detection
from experiments.trainers.yolo.start import Start, check_start, start_of
from experiments.trainers.yolo.train import CURVES, measure_cost, train
from yoloplug.bridge.model import built, create
from yoloplug.bridge.training import quiet
from yoloplug.cost.machine import PeakMemory
from yoloplug.files import write_json
from yoloplug.modelfile.file import parse, read


def check_model(model: Model) -> None:
    if model.imgsz:
        raise SpecError("of its own is for task: segment; here budget.imgsz holds for all", ("imgsz",))
    check_yolo(model, "detect")


def open_data(path: Path, dataset: Dataset, options: Mapping[str, Any], root: Path) -> DetectionData:
    """With the val split that the spec asks for."""
    return open_detection(path, dataset.val_share, dataset.split_seed)


def check_cell(cell: Cell) -> None:
    """Find the widths of a matched model and read the checkpoint; SpecError where there are none."""
    if cell.model.matched_to:
        scaled(cell.model, len(cell.data.names), cell.spec.budget.imgsz)
    check_start(cell)


def run_cell(cell: Cell, epochs: Epochs) -> Result:
    """Train (or go on training), predict, score."""
    data: DetectionData = cell.data
    memory = PeakMemory(torch_device(cell.spec.budget.device))
    with quiet():
        start = start_of(cell, "detect", len(data.names))
        always: Result = {"method": _method(cell, data, start), **start.row}
        weights, diverged = train(cell, start, lambda: data.write_yaml(cell.folder), cell.spec.train, epochs)
        spent = epochs.summary(len(data.train)) | memory.summary()
        if weights is None:
            lost: Result = {"metrics": {}, "per_class": {}, "diverged": True, "cost": {}, "train": spent}
            return {**lost, **always, "files": {"curves": CURVES}}
        targets = ground_truth(data.val, data.names, cell.photos)
        predictions = _predict(weights, data, cell)
    write_json(cell.folder / TARGETS, targets, indent=1)
    write_json(cell.folder / PREDICTIONS, predictions, indent=1)
    save_pictures(cell.pictures, data.val)
    images = CocoImages.of(targets, predictions)
    return {
        **score_images(images),  # type: ignore[typeddict-item]
        **always,
        "subsets": score_subsets(images, cell.excluded),
        "errors": error_types(targets, predictions),
        "diverged": diverged,
        "cost": measure_cost(weights, cell.spec.budget, cell.spec.protocol),
        "train": spent,
        "files": {
            "curves": CURVES,
            "per_image": [TARGETS, PREDICTIONS],
            "pictures": os.path.relpath(cell.pictures, cell.folder),
            "weights": "train/weights/last.pt",
        },
    }


def training_steps(cell: Cell) -> Steps:
    """Of one batch with four objects an image."""
    data, budget = cell.data, cell.spec.budget
    file = read(cell.model.model)
    if cell.model.matched_to:
        text = scaled(cell.model, len(data.names), budget.imgsz).text
        file = parse(text, file.name, file.model["scale"])
    with quiet():
        model = built(file.model, "detect", len(data.names), cell.spec.train)
    device = placed(cell, model)
    images = torch.rand(budget.batch, 3, budget.imgsz, budget.imgsz, device=device)
    count = 4 * budget.batch
    batch = {
        "img": images,
        "cls": torch.zeros(count, 1, device=device),
        "bboxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]], device=device).repeat(count, 1),
        "batch_idx": torch.arange(budget.batch, device=device).repeat_interleave(4).float(),
    }
    val = len(data.val)
    return timed_steps(cell, model, lambda: model(batch)[0].sum(), images[:1], len(data.train), val, val)


def _predict(weights: Path, data: DetectionData, cell: Cell) -> list[dict[str, Any]]:
    """COCO result list: box x, y, w, h in original pixels, category class + 1, image ids in the order of `data.val`."""
    budget, protocol = cell.spec.budget, cell.spec.protocol
    yolo = create(weights)
    options: dict[str, Any] = {"conf": protocol.conf, "iou": protocol.iou, "max_det": protocol.max_det}
    options |= {"imgsz": budget.imgsz, "device": budget.device, "verbose": False, "save": False}
    return coco_boxes(yolo.predict(str(image), **options)[0] for image in data.val)


def coco_boxes(answers: Iterable[Any]) -> list[dict[str, Any]]:
    """COCO result list of Ultralytics' results, one an image: ids from 1 on, category class + 1, original pixels."""
    predictions = []
    for image_id, result in enumerate(answers, start=1):
        for (x1, y1, x2, y2), score, cls in zip(
            result.boxes.xyxy.tolist(), result.boxes.conf.tolist(), result.boxes.cls.tolist(), strict=True
        ):
            box = [x1, y1, x2 - x1, y2 - y1]
            predictions.append({"image_id": image_id, "category_id": int(cls) + 1, "bbox": box, "score": score})
    return predictions


def _method(cell: Cell, data: DetectionData, start: Start) -> Method:
    protocol, source = cell.spec.protocol, cell.source
    scored, split = "val", f"val, {len(data.val)} images"
    if source.val_share is not None:
        scored = f"{len(data.val)} of the {len(data.train) + len(data.val)} training images"
        split = (
            f"{scored}, drawn in proportion to their classes (val_share {source.val_share:g}, split_seed "
            f"{source.split_seed}) and not trained on"
        )
    return {
        "start": start.text,
        "chosen_on": None,
        "epoch": cell.spec.budget.epochs,
        "weights": "val is the only other split, so nothing is selected on it",
        "checkpoint": "last",
        "scored": scored,
        "split": split,
        "predictions": f"model.predict, one label a box, conf >= {protocol.conf}, NMS IoU {protocol.iou}, "
        f"at most {protocol.max_det} an image, {cell.spec.budget.imgsz} px",
        "metric": "COCOeval: AP = mean over IoU 0.50:0.95, 100 detections an image; "
        "S < 32^2 <= M < 96^2 <= L px^2 of box area in the original image",
    }
