"""Ultralytics' semantic models beside segplug's in one spec: named, refused, timed, trained, and scored alike."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from experiments.cli import main
from experiments.demo.cracks import draw_cracks
from experiments.errors import SpecError
from experiments.run.dry_run import pace_of
from experiments.run.plan import _said, plan
from experiments.run.retime import retime
from experiments.run.run import run
from experiments.spec.read import read_spec
from experiments.spec.spec import Model
from experiments.trainers.yolo import train as yolo_train
from experiments.trainers.yolo.start import Start
from segplug.evaluation.run import evaluate_predictions

SPEC = """\
name: tiny
task: {task}
models:
  - {model}
datasets: {{data: data}}
seeds: [3]
budget: {{epochs: {epochs}, imgsz: 64, batch: 2, workers: 0, threads: 1}}
{extra}
"""
YOLO = "{model: yolo26n-sem.yaml, imgsz: 96}"


START = Start("yolo26n-sem.yaml", "semantic", None, {})


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


def write(folder: Path, model: str = YOLO, task: str = "segment", epochs: int = 1, extra: str = "") -> Path:
    path = folder / "tiny.yaml"
    path.write_text(SPEC.format(task=task, model=model, epochs=epochs, extra=extra))
    return path


def test_label_and_identity(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, "{model: unet, encoder: resnet18}\n  - yolo26n-sem.yaml\n  - " + YOLO)).spec
    assert [model.label for model in spec.models] == ["unet-resnet18", "yolo26n-sem", "yolo26n-sem-96px"]
    assert [model.kind for model in spec.models] == ["architecture", "yaml", "yaml"]
    older = {"model": "unet", "encoder": "resnet18", "encoder_weights": None, "matched_to": None, "by": None}
    assert _said(older) == _said(vars(spec.models[0]))  # folders of specs that knew no imgsz stay valid
    assert _said(vars(Model("a.yaml"))) != _said(vars(Model("a.yaml", imgsz=96)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "{model: yolo26n-sem.yaml, imgsz: 100}"}, r":4: models\.0\.imgsz: .*multiple of 32, got 100"),
        ({"model": "yolo26n-sme.yaml"}, r":4: models.0: .*did you mean yolo26n-sem.yaml"),
        (
            {"model": "yolo11n-seg.yaml"},
            r":4: .*task segment; here it must give a class to every pixel, as yolo26n-sem",
        ),
        ({"model": "{model: yolo26n-sem.yaml, encoder: resnet18}"}, r":4: .*a YOLO model has no encoder"),
        (
            {"model": "{model: unet, encoder: resnet18, imgsz: 96}"},
            r":4: models.0.imgsz: .*for YOLO models",
        ),
        (
            {"model": "{model: yolov8n.yaml, imgsz: 96}", "task": "detect"},
            r":4: models.0.imgsz: .*task: segment",
        ),
        ({"model": "yolo26n-sem.yaml", "task": "detect"}, r":4: .*task semantic; here it must detect boxes"),
        ({"extra": "train: {val_split: 0}"}, r":4: .*val_split is 0 and .* needs validation images"),
        ({"extra": "train: {mosaic: 0}"}, r":8: train\.mosaic: no such training option"),
    ],
)
def test_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    draw_cracks(tmp_path / "data", train=4, test=1, side=64)
    with pytest.raises(SpecError, match=words):
        plan(write(tmp_path, **changes), tmp_path, tmp_path / "out")


def test_timed_by_its_real_loss(tmp_path: Path) -> None:
    draw_cracks(tmp_path / "data", train=4, test=2, side=64)
    pace = pace_of(plan(write(tmp_path, "yolo26n-sem.yaml"), tmp_path, tmp_path / "out").cells[0])
    assert pace.epoch_s == pytest.approx(2 * pace.step_s + pace.image_s)  # ceil(3 / 2) steps, 1 held-out image
    assert pace.end_s == pytest.approx((2 + 60) * pace.image_s)


def test_killed_while_the_optimiser_is_taken_out(tmp_path: Path) -> None:
    """After the last epoch nothing is trained again, and both checkpoints end as an undisturbed run leaves them."""
    spec = read_spec(write(tmp_path, epochs=2)).spec
    cell = Cell(spec, spec.models[0], "data", None, "hash", 3, tmp_path / "cell")
    weights = cell.folder / "train" / "weights"
    weights.mkdir(parents=True)
    table = cell.folder / "train" / "results.csv"
    table.write_text("epoch,train/ce_loss,metrics/mIoU\n1,0.5,0.4\n2,nan,0.4\n3,0.")
    for path, epoch in ((weights / "last.pt", 1), (cell.folder / "best_saved.pt", 0)):
        torch.save({"epoch": epoch, "model": None, "ema": torch.nn.Linear(1, 1), "optimizer": {}}, path)
    (cell.folder / "last_saved.pt").write_bytes((weights / "last.pt").read_bytes())
    torch.save({"epoch": -1}, weights / "last.pt")
    (weights / "best.pt").write_bytes(b"half a file")
    ledger = Epochs(cell)

    def never() -> Path:
        raise AssertionError("data are asked for")

    last, diverged = yolo_train.train(cell, START, never, {}, ledger)
    assert last == weights / "last.pt" and diverged  # a loss was NaN; the line cut short is no epoch
    assert table.read_text().endswith("2,nan,0.4\n")  # nor will Ultralytics write the next one behind it
    best = torch.load(weights / "best.pt", weights_only=False)
    assert best["epoch"] == -1 and isinstance(best["model"], torch.nn.Linear) and best["ema"] is None
    assert not list(cell.folder.glob("*_saved.pt"))
    # Killed before even that: last.pt is whole, with its optimiser, and was the best.
    torch.save({"epoch": 1, "model": None, "ema": torch.nn.Linear(1, 1), "optimizer": {}}, weights / "last.pt")
    (weights / "best.pt").write_bytes(b"half a file")
    yolo_train.train(cell, START, never, {}, ledger)
    for name in ("last", "best"):
        ended = torch.load(weights / f"{name}.pt", weights_only=False)
        assert ended["epoch"] == -1 and ended["optimizer"] is None


def test_a_damaged_table_is_told_before_training_goes_on(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, epochs=3)).spec
    cell = Cell(spec, spec.models[0], "data", None, "hash", 3, tmp_path / "cell")
    weights = cell.folder / "train" / "weights"
    weights.mkdir(parents=True)
    torch.save({"epoch": 0, "model": None, "ema": torch.nn.Linear(1, 1), "optimizer": {}}, weights / "last.pt")
    (cell.folder / "train" / "results.csv").write_bytes(b"epoch,train/ce_loss\n1,\xff\n")

    def never() -> Path:
        raise AssertionError("data are asked for")

    with pytest.raises(
        SpecError, match=r"results\.csv is no table of epochs .*; delete .*cell to train the cell again"
    ):
        yolo_train.train(cell, START, never, {}, Epochs(cell))


@pytest.mark.slow
def test_end_to_end_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the second epoch with both checkpoints half written; the row is segplug's score of the saved masks."""
    draw_cracks(tmp_path / "data", train=4, test=2, side=80)
    left_out = sorted(path.stem for path in (tmp_path / "data" / "test" / "images").iterdir())[0]
    (tmp_path / "listed.txt").write_text(left_out)
    extra = "train: {val_split: 0.25}\nsubsets: {fresh: {exclude: listed.txt}}"
    spec, out = write(tmp_path, epochs=2, extra=extra), tmp_path / "out"
    (cell,) = plan(spec, tmp_path, out).cells
    report = yolo_train._report

    def die_in_second_epoch(trainer: Any, cell: Any, epochs: Any) -> None:
        report(trainer, cell, epochs)
        raise KeyboardInterrupt

    monkeypatch.setattr(yolo_train, "_report", die_in_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        run(spec, tmp_path, out)
    assert [len(list((cell.folder / "data" / "images" / split).iterdir())) for split in ("train", "val")] == [3, 1]
    for name in ("last", "best"):
        (cell.folder / "train" / "weights" / f"{name}.pt").write_bytes(b"half a file")
    monkeypatch.setattr(yolo_train, "_report", report)
    old, out = out, tmp_path / "moved"
    old.rename(out)
    (cell,) = plan(spec, tmp_path, out).cells
    assert run(spec, tmp_path, out) == 0
    assert not old.exists()  # trained on where it lies now
    row = json.loads((cell.folder / "row.json").read_text())
    ledger = [json.loads(line) for line in (cell.folder / "epochs.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in ledger] == [1, 2] and ledger[1]["monitor"].startswith("val crack IoU")
    assert row["train"]["epochs"] == 2 and row["train"]["images_per_epoch"] == 3 and not row["diverged"]
    assert row["train"]["peak_memory_bytes"] > 1e7 and row["model"]["imgsz"] == 96
    scored = evaluate_predictions(cell.folder / "found", tmp_path / "data")
    assert row["metrics"] == scored["metrics"] and row["metrics"]["ods_f1"] == row["metrics"]["f1"]
    assert json.loads((cell.folder / "per_image.json").read_text()) == scored["per_image"]
    assert row["subsets"]["fresh"]["excluded"] == [left_out] and "one threshold" in row["method"]["metric"]
    assert sum(row["errors"].values()) + row["metrics"]["iou_crack"] == pytest.approx(1)
    assert row["cost"]["params"] > 1e6 and row["cost"]["latency_protocol"]["imgsz_px"] == 64
    assert all((cell.folder / row["files"][name]).exists() for name in ("contributions", "masks", "curves", "weights"))
    assert "0-truth.png" in {path.name for path in (cell.folder / row["files"]["pictures"]).iterdir()}
    assert not (cell.folder / "data").exists() and not list(cell.folder.glob("*_saved.pt"))
    assert retime(out) == 1 and main(["report", str(out)]) == 0
    # Killed between the end of training and its row: nothing is trained again.
    (cell.folder / "row.json").unlink()
    shutil.rmtree(cell.folder / "found")
    assert run(spec, tmp_path, out) == 0
    assert len((cell.folder / "epochs.jsonl").read_text().splitlines()) == 2
    assert json.loads((cell.folder / "row.json").read_text())["metrics"] == row["metrics"]
