"""Rows as `run` writes them, made by hand, so that reports are tested without a training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

MakeRow = Callable[..., Path]


@pytest.fixture
def make_row() -> MakeRow:
    """make_row(folder, label, seed, AP=0.4, …) -> the cell's folder, with row, curves and one example image."""

    def make(out: Path, label: str, seed: int = 0, task: str = "detect", changes: Any = None, **metrics: Any) -> Path:
        cell = out / "cells" / f"{label}-data-s{seed}"
        (cell / "train").mkdir(parents=True)
        row = _row(cell.name, label, seed, task, metrics) | (changes or {})
        (cell / "row.json").write_text(json.dumps(row))
        loss, monitor = (
            ("train/box_loss", "metrics/mAP50-95(B)") if task == "detect" else ("train_loss", "val_iou_crack")
        )
        (cell / "train" / "curves.csv").write_text(f"epoch,{loss},{monitor}\n1,2.0,0.1\n2,1.5,0.2\n2,1.0,0.3\n")
        _keep_pictures(out / "pictures" / "data", task)
        _keep_predictions(cell, task, found=5 + seed)
        return cell

    return make


def _row(cell: str, label: str, seed: int, task: str, metrics: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": f"made-{task}",
        "cell": cell,
        "label": label,
        "baseline": "base",
        "task": task,
        "model": {"model": label},
        "dataset": "data",
        "dataset_hash": "0123456789abcdef",
        "seed": seed,
        "budget": {"epochs": 2, "imgsz": 64, "batch": 4, "device": "cpu", "workers": 0, "threads": 1},
        "protocol": {},
        "options": {},
        "environment": {
            "commit": "c0ffee",
            "dirty": False,
            "python": "3.11",
            "platform": "Linux",
            "processor": "a processor",
            "cores": 2,
            "versions": {"torch": "2.9"},
            "device": "cpu",
            "threads": 1,
        },
        "metrics": metrics,
        "per_class": {"cat": 0.4},
        "diverged": False,
        "cost": {
            "params": 3_000_000,
            "flops": 8_000_000_000,
            "flops_uncounted": {"aten.silu": 57},
            "latency_ms": 12.5 + seed,
            "latency_p10_ms": 12.0,
            "latency_p90_ms": 14.0,
            "latency_protocol": {
                "batch": 1,
                "imgsz_px": 64,
                "dtype": "float32",
                "device": "cpu",
                "threads": 1,
                "warmup": 10,
                "runs": 50,
                "statistic": "median",
                "covers": "forward pass",
            },
        },
        "train": {"epochs": 2, "images_per_epoch": 9, "seconds": 90.0},
        "method": {
            "weights": "random start",
            "split": "val, 5 images",
            "predictions": "as they are",
            "metric": "exact",
        },
        "errors": {"AP50": 0.6, "missed": 0.1} if task == "detect" else {"missed": 0.1},
        "files": {"curves": "train/curves.csv", "pictures": "../../pictures/data"},
        "finished": "2026-01-01T00:00:00+00:00",
    }


def _keep_pictures(folder: Path, task: str) -> None:
    """Two images of 40 x 30 px; for segmentation a crack in rows 5 to 14 of each."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(2):
        Image.new("RGB", (40, 30), "grey").save(folder / f"{index}.jpg")
        if task == "segment":
            Image.fromarray(rows_set(5)).save(folder / f"{index}-truth.png")


def _keep_predictions(cell: Path, task: str, found: int) -> None:
    """Image 0: the crack (or box) found `found` - 5 px too low; image 1: nothing."""
    if task == "segment":
        np.savez_compressed(cell / "masks.npz", **{"0": rows_set(found), "1": rows_set(30)})
        per_image = [{"name": "photo <1>.jpg", "iou_crack": (15 - found) / (5 + found)}, {"name": "b", "iou_crack": 0}]
        (cell / "per_image.json").write_text(json.dumps(per_image))
        return
    shared = {"category_id": 1, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0}
    truth = {
        "images": [
            {"id": 1, "file_name": "photo <1>.jpg", "width": 40, "height": 30},
            {"id": 2, "file_name": "b.jpg", "width": 40, "height": 30},
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{**shared, "id": 1, "image_id": 1}, {**shared, "id": 2, "image_id": 2}],
    }
    (cell / "ground_truth.json").write_text(json.dumps(truth))
    box = [5, found, 10, 10]
    scored = [{"image_id": 1, "category_id": 1, "bbox": box, "score": score} for score in (0.9, 0.1)]
    (cell / "predictions.json").write_text(json.dumps(scored))


def rows_set(first: int) -> np.ndarray:
    """(30, 40), true in ten rows."""
    mask = np.zeros((30, 40), dtype=bool)
    mask[first : first + 10] = True
    return mask
