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
        _example(cell / "examples", task)
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
        "files": {"curves": "train/curves.csv", "examples": "examples/examples.json"},
        "finished": "2026-01-01T00:00:00+00:00",
    }


def _example(folder: Path, task: str) -> None:
    folder.mkdir()
    Image.new("RGB", (40, 30), "grey").save(folder / "0.jpg")
    shown: dict[str, Any] = {"name": "photo <1>.jpg", "image": "0.jpg"}
    if task == "detect":
        shown["truth"] = [{"bbox": [5, 5, 10, 10], "class": 0}]
        shown["predictions"] = [{"bbox": [6, 6, 10, 10], "class": 0, "score": 0.9}]
    else:
        for number, name in enumerate(("truth", "prediction")):
            mask = np.zeros((30, 40), np.uint8)
            mask[5 + 5 * number : 15 + 5 * number] = 255
            Image.fromarray(mask).save(folder / f"{name}.png")
            shown[name] = f"{name}.png"
    (folder / "examples.json").write_text(json.dumps({"classes": ["cat"], "shown": [shown]}))
