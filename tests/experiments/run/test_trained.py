"""Both tasks train end to end on drawn data; what a row says of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.cells.ledger import Epochs
from experiments.cli import main
from experiments.demo.cracks import draw_cracks
from experiments.demo.shapes import draw_shapes
from experiments.errors import SpecError
from experiments.run.plan import plan
from experiments.run.retime import retime
from experiments.run.run import run
from experiments.trainers.yolo import detect
from experiments.trainers.yolo import train as yolo_train
from experiments.trainers.yolo.detection_data import open_detection
from segplug.metrics import Contributions
from segplug.training.config import TrainConfig
from tests.experiments.run.test_run import _threads, write_spec  # noqa: F401  (a fixture of every test)


def test_segmentation_end_to_end(tmp_path: Path) -> None:
    draw_cracks(tmp_path / "data", train=4, test=2, side=64)
    models = "[{model: gbcnet, encoder: tu-mobilenetv3_small_050}]"
    left_out = sorted(path.stem for path in (tmp_path / "data" / "test" / "images").iterdir())[0]
    (tmp_path / "listed.txt").write_text(left_out)
    extra = "train: {val_split: 0.25}\nsubsets: {fresh: {exclude: listed.txt}}"
    spec = write_spec(tmp_path, task="segment", models=models, extra=extra)
    assert run(spec, tmp_path, tmp_path / "out") == 0
    (cell,) = (tmp_path / "out" / "cells").iterdir()
    row = json.loads((cell / "row.json").read_text())
    counts = json.loads((cell / "per_image.json").read_text())
    tp, fp, fn = (sum(image[name] for image in counts) for name in ("tp", "fp", "fn"))
    assert row["metrics"]["iou_crack"] == pytest.approx(tp / (tp + fp + fn))
    every, fresh = Contributions.load(cell / row["files"]["contributions"]), row["subsets"]["fresh"]
    assert every.scores() == row["metrics"] and fresh["excluded"] == [left_out] and fresh["images"] == 1
    (kept,) = (image for image in counts if image["name"] != left_out)
    assert fresh["metrics"]["iou_crack"] == pytest.approx(kept["iou_crack"])
    assert row["train"]["peak_memory_bytes"] > 1e7
    assert sum(row["errors"].values()) + row["metrics"]["iou_crack"] == pytest.approx(1)
    assert sorted(path.name for path in (cell / row["files"]["pictures"]).iterdir()) == [
        "0-truth.png", "0.jpg", "1-truth.png", "1.jpg"
    ]  # fmt: skip
    assert row["train"]["epochs"] == 1 and row["train"]["images_per_epoch"] == 3
    assert row["cost"]["params"] > 1e5 and row["cost"]["flops"] > 1e6 and row["cost"]["latency_ms"] > 0
    assert row["cost"]["latency_protocol"]["batch_norms_folded"] > 20
    assert main(["report", str(tmp_path / "out")]) == 0
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "gbcnet" in html and "Best and worst images" in html and "Error types" in html
    torch.manual_seed(5)
    before = row["metrics"]
    assert retime(tmp_path / "out") == 1
    assert json.loads((cell / "row.json").read_text())["metrics"] == before


def test_segmentation_divergence_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = TrainConfig.__dataclass_fields__["lr"].metadata
    monkeypatch.setattr(TrainConfig.__dataclass_fields__["lr"], "metadata", {**about, "range": (0, 1e30)})
    draw_cracks(tmp_path / "data", train=4, test=1, side=64)
    models = "[{model: unet, encoder: tu-mobilenetv3_small_050}]"
    extra = "train: {val_split: 0, lr: 1e30, warmup_epochs: 0}"
    spec = write_spec(tmp_path, task="segment", models=models, epochs=2, extra=extra)
    assert run(spec, tmp_path, tmp_path / "out") == 0
    (row_file,) = (tmp_path / "out").rglob("row.json")
    row = json.loads(row_file.read_text())
    assert row["diverged"] and row["metrics"] == {} and "loss became" in row["reason"]


@pytest.mark.slow
def test_detection_end_to_end_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cell is killed in its second epoch with last.pt half written, and goes on from the copy of the first."""
    draw_shapes(tmp_path / "data", train=4, val=2, side=64)
    spec, out = write_spec(tmp_path, models="[yolov8n-C2f_gnConv.yaml]", epochs=2), tmp_path / "out"
    (cell,) = plan(spec, tmp_path, out).cells
    report = yolo_train._report

    def die_in_second_epoch(trainer: Any, cell: Any, epochs: Any) -> None:
        report(trainer, cell, epochs)
        trained, saved = (model.model[1].conv.weight for model in (trainer.model, trainer.ema.ema))
        assert trained.is_contiguous(memory_format=torch.channels_last) and not trained.is_contiguous()
        assert saved.is_contiguous()  # older releases cannot fuse other weights
        raise KeyboardInterrupt

    monkeypatch.setattr(yolo_train, "_report", die_in_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        run(spec, tmp_path, out)
    (cell.folder / "train" / "weights" / "last.pt").write_bytes(b"half a file")
    monkeypatch.setattr(yolo_train, "_report", report)
    old, out = out, tmp_path / "moved"
    old.rename(out)
    (tmp_path / "data").rename(out / "data")
    (cell,) = plan(spec, out, out).cells
    assert run(spec, out, out) == 0
    assert not old.exists()  # trained on where it lies now
    row = json.loads((cell.folder / "row.json").read_text())
    assert row["train"]["epochs"] == 2 and row["train"]["images_per_epoch"] == 4
    assert 0 <= row["metrics"]["AP"] <= 1 and row["method"]["checkpoint"] == "last"
    targets = json.loads((cell.folder / "ground_truth.json").read_text())
    assert len(targets["images"]) == len(open_detection(out / "data").val)
    for box in json.loads((cell.folder / "predictions.json").read_text()):
        assert box["category_id"] in (1, 2, 3) and box["image_id"] in (1, 2) and len(box["bbox"]) == 4
    ledger = (cell.folder / "epochs.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in ledger] == [1, 2]
    # Killed between the end of training and its row: nothing is trained again.
    (cell.folder / "row.json").unlink()
    assert run(spec, out, out) == 0
    assert len((cell.folder / "epochs.jsonl").read_text().splitlines()) == 2
    assert json.loads((cell.folder / "row.json").read_text())["metrics"] == row["metrics"]


def test_segmentation_data_need_a_test_split(tmp_path: Path) -> None:
    draw_cracks(tmp_path / "data", train=2, test=1, side=64)
    spec = write_spec(tmp_path, task="segment", models="[{model: unet, encoder: resnet18}]")
    assert len(plan(spec, tmp_path, tmp_path / "out").cells[0].dataset_hash) == 16
    spec.write_text(spec.read_text().replace("data: data", "data: {path: data, val_share: 0.2}"))
    with pytest.raises(
        SpecError, match=r"tiny.yaml:4: datasets.data.val_share: is for task: detect; .*train.val_split"
    ):
        plan(spec, tmp_path, tmp_path / "out")
    spec.write_text(spec.read_text().replace(", val_share: 0.2", ""))
    (tmp_path / "data" / "test").rename(tmp_path / "data" / "val")
    with pytest.raises(SpecError, match="no test split; found: train, val"):
        plan(spec, tmp_path, tmp_path / "out")


def test_a_drawn_split_is_named_in_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_shapes(tmp_path / "data", train=10, val=1, side=64)
    shutil.rmtree(tmp_path / "data" / "images" / "val")
    spec = write_spec(tmp_path, models="[yolov8n.yaml]")
    spec.write_text(spec.read_text().replace("data: data", "data: {path: data, val_share: 0.2, split_seed: 5}"))
    (cell,) = plan(spec, tmp_path, tmp_path / "out").cells
    monkeypatch.setattr(detect, "train", lambda *args: (None, True))  # diverged: the row without a training
    row = detect.run_cell(cell, Epochs(cell))
    assert row["method"]["split"].startswith(
        "2 of the 10 training images, drawn in proportion to their classes (val_share"
    )
    assert "split_seed 5" in row["method"]["split"] and row["train"]["images_per_epoch"] == 8
