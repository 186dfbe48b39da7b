"""Cells run once, failures do not stop the others, and both tasks train end to end on drawn data."""

import json
import math
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from experiments.cells.cell import Cell, cell_keys
from experiments.cells.ledger import Epochs
from experiments.cells.row import read_row
from experiments.cli import main
from experiments.demo.cracks import draw_cracks
from experiments.demo.shapes import draw_shapes
from experiments.errors import SpecError
from experiments.run.plan import _refuse_other_run, plan
from experiments.run.retime import retime
from experiments.run.run import run
from experiments.spec.read import read_spec
from experiments.tasks import TASKS
from experiments.trainers.yolo import detect
from experiments.trainers.yolo import train as yolo_train
from experiments.trainers.yolo.detection_data import open_detection
from segplug.metrics import Contributions
from segplug.training.config import MOST

SPEC = """\
name: tiny
task: {task}
models: {models}
datasets: {{data: data}}
seeds: {seeds}
budget: {{epochs: {epochs}, imgsz: 64, batch: 2, workers: 0, threads: 1}}
{extra}
"""


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


def write_spec(folder: Path, **changes: Any) -> Path:
    values = {"task": "detect", "models": "[a.yaml, b.yaml]", "seeds": "[0]", "epochs": 1, "extra": ""} | changes
    path = folder / "tiny.yaml"
    path.write_text(SPEC.format(**values))
    return path


class Fake:
    """A task whose cells take no time; `broken` models raise."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.broken: set[str] = set()
        self.module: Any = ModuleType("fake_task")
        self.module.check_model = lambda model: None
        self.module.open_data = lambda *about: SimpleNamespace(check=lambda: None, content_hash=lambda: "hash")
        self.module.check_options = lambda options, root: None
        self.module.check_cell = lambda cell: None
        self.module.run_cell = self.run_cell

    def run_cell(self, cell: Cell, epochs: Epochs) -> dict[str, Any]:
        self.ran.append(cell.key)
        if cell.model.label in self.broken:
            raise ZeroDivisionError("this model divides by zero")
        return {"metrics": {"AP": 0.5}, "diverged": False, "cost": {}, "train": {}, "method": {}, "files": {}}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    (tmp_path / "data").mkdir()
    task = Fake()
    monkeypatch.setitem(sys.modules, "fake_task", task.module)
    monkeypatch.setitem(TASKS, "detect", replace(TASKS["detect"], trainers={"yaml": "fake_task"}))
    return task


def test_finished_cells_are_kept(fake: Fake, tmp_path: Path) -> None:
    spec, out = write_spec(tmp_path), tmp_path / "out"
    assert run(spec, tmp_path, out) == 0
    assert fake.ran == ["a-data-s0", "b-data-s0"]
    row = json.loads((out / "cells" / "a-data-s0" / "row.json").read_text())
    assert row["baseline"] == "a" and row["dataset_hash"] == "hash" and row["environment"]["versions"]["torch"]
    assert (out / "spec.yaml").read_text() == spec.read_text()
    assert run(spec, tmp_path, out) == 0
    assert run(write_spec(tmp_path, seeds="[0, 1]"), tmp_path, out) == 0
    assert fake.ran == ["a-data-s0", "b-data-s0", "a-data-s1", "b-data-s1"]


def test_a_failing_cell_is_recorded_and_tried_again_when_asked(fake: Fake, tmp_path: Path) -> None:
    spec, out = write_spec(tmp_path), tmp_path / "out"
    fake.broken = {"a"}
    assert main(["run", str(spec), "--data-root", str(tmp_path), "--out", str(out)]) == 1
    error = json.loads((out / "cells" / "a-data-s0" / "error.json").read_text())
    assert "divides by zero" in error["error"] and "run_cell" in error["traceback"]
    assert (out / "cells" / "b-data-s0" / "row.json").exists()
    fake.broken = set()
    assert run(spec, tmp_path, out) == 1  # left alone until asked for
    assert fake.ran == ["a-data-s0", "b-data-s0"]
    assert run(spec, tmp_path, out, retry_failed=True) == 0
    assert not (out / "cells" / "a-data-s0" / "error.json").exists()
    assert fake.ran == ["a-data-s0", "b-data-s0", "a-data-s0"]


def test_another_budget_never_reuses_a_folder(fake: Fake, tmp_path: Path) -> None:
    run(write_spec(tmp_path), tmp_path, tmp_path / "out")
    with pytest.raises(SpecError, match=r"different run .*epochs': 1.*epochs': 2"):
        plan(write_spec(tmp_path, epochs=2), tmp_path, tmp_path / "out")


def test_a_row_alone_is_reused_for_its_own_run_only(fake: Fake, tmp_path: Path) -> None:
    """Committed rows come without cell.json."""
    spec, out = write_spec(tmp_path, models="[a.yaml]"), tmp_path / "out"
    run(spec, tmp_path, out)
    (out / "cells" / "a-data-s0" / "cell.json").unlink()
    assert [state.phase for state in plan(spec, tmp_path, out).states] == ["done"]
    with pytest.raises(SpecError, match=r"different run .*epochs': 1.*epochs': 300"):
        plan(write_spec(tmp_path, models="[a.yaml]", epochs=300), tmp_path, out)


def test_committed_rows_are_done_for_their_own_specs(tmp_path: Path) -> None:
    """All but the data's hash and the names in subsets, which need the data, is read from the spec beside the rows."""
    results = Path(__file__).parents[3] / "experiments" / "results"
    specs = sorted(results.glob("*/spec.yaml"))
    assert specs
    for path in specs:
        spec = read_spec(path).spec
        for key, (model, dataset, seed) in cell_keys(spec).items():
            folder = path.parent / "cells" / key
            row = read_row(folder / "row.json")
            assert row["method"]["start"] == "random start" and row["method"]["epoch"] in range(1, 13)
            assert row["method"]["scored"] in ("val", "test", "288 of the 1440 training images")
            cell = Cell(spec, model, dataset, None, row["dataset_hash"], seed, folder, row.get("excluded", {}))
            _refuse_other_run(cell)
            with pytest.raises(SpecError, match=r"different run \(dataset_hash"):
                _refuse_other_run(replace(cell, dataset_hash="other"))


@pytest.mark.parametrize("device", ["cpu", "0", "1", "cuda", "cuda:1"])
def test_devices_that_are_there(fake: Fake, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_two_gpus(monkeypatch)
    plan(_on_device(tmp_path, device), tmp_path, tmp_path / "out")


@pytest.mark.parametrize("device", ["gpu", "7", "cuda:7", "'0,1'", "cpu:0", "''"])
def test_devices_that_no_cell_could_run_on(
    fake: Fake, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_two_gpus(monkeypatch)
    message = r"tiny\.yaml:6: budget\.device: .*\(valid: 0, 1, cpu\)"
    with pytest.raises(SpecError, match=message):
        plan(_on_device(tmp_path, device), tmp_path, tmp_path / "out")
    with pytest.raises(SpecError, match=message.replace(", 1", "")):  # all that a cell on Ray sees of the cluster
        plan(_on_device(tmp_path, device, "engine: ray"), tmp_path, tmp_path / "out")


def _with_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)


def _on_device(folder: Path, device: str, extra: str = "") -> Path:
    spec = write_spec(folder, extra=extra)
    spec.write_text(spec.read_text().replace("threads: 1", f"threads: 1, device: {device}"))
    return spec


def test_only_the_cells_asked_for(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others stay to be run, the baseline is still the spec's first model."""
    spec, out = write_spec(tmp_path, seeds="[0, 1]"), tmp_path / "out"
    command = ["run", str(spec), "--data-root", str(tmp_path), "--out", str(out), "--only"]
    assert main([*command, "b-data-s1"]) == 0
    assert fake.ran == ["b-data-s1"]
    assert json.loads((out / "cells" / "b-data-s1" / "row.json").read_text())["baseline"] == "a"
    assert main([*command, "*-s0", "--only", "b-data-s1"]) == 0
    assert fake.ran == ["b-data-s1", "a-data-s0", "b-data-s0"]
    assert main([*command, "a-data-s3"]) == 2
    error = capsys.readouterr().err
    assert "--only a-data-s3: no such cell; did you mean" in error
    assert "(valid: a-data-s0, a-data-s1, b-data-s0, b-data-s1)" in error


def test_half_a_row_is_never_seen(fake: Fake, tmp_path: Path) -> None:
    """NaN is no JSON: the row is refused as a failure and no broken file is left."""
    fake.module.run_cell = lambda cell, epochs: {"metrics": {"AP": math.nan}}
    assert run(write_spec(tmp_path, models="[a.yaml]"), tmp_path, tmp_path / "out") == 1
    assert not list((tmp_path / "out").rglob("row.json"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"models": "[yolov8n-C2f_gnCov.yaml]"}, "did you mean yolov8n-C2f_gnConv.yaml"),
        ({"models": "[yolov8n.pt]"}, "must be a model YAML"),
        ({"models": "[{model: yolov8n.yaml, encoder: resnet18}]"}, "has no encoder"),
        ({"extra": "train: {mosaik: 0}"}, "train.mosaik: no such training argument; did you mean mosaic"),
        ({"extra": "train: {seed: 3}"}, "train.seed: set by the runner"),
        ({"task": "segment", "models": "[unet]"}, "needs an encoder"),
        ({"task": "segment", "models": "[{model: scsegamba, encoder: resnet18}]"}, "takes no encoder"),
        ({"task": "segment", "models": "[{model: unett, encoder: resnet18}]"}, "unet"),
        ({"task": "segment", "models": "[{model: unet, encoder: resnet18}]", "extra": "train: {lrr: 1}"}, "mean lr"),
        (
            {"task": "segment", "models": "[{model: unet, encoder: resnet18}]", "extra": "train: {lr: -1}"},
            "lr: must be",
        ),
    ],
)
def test_refused_before_anything_runs(
    tmp_path: Path, changes: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_shapes(tmp_path / "data", train=2, val=1, side=64)
    spec = write_spec(tmp_path, **{"models": "[yolov8n.yaml]", **changes})
    assert main(["run", str(spec), "--data-root", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_model_that_cannot_be_built_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "yolov8n-broken.yaml"
    broken.write_text("nc: 2\nbackbone:\n  - [-1, 1, NoSuchBlock, [8]]\nhead:\n  - [[0], 1, Detect, [nc]]\n")
    with pytest.raises(SpecError, match="NoSuchBlock"):
        plan(write_spec(tmp_path, models=f"[{broken}]", extra=""), _with_data(tmp_path), tmp_path / "out")


def _with_data(root: Path) -> Path:
    draw_shapes(root / "data", train=2, val=1, side=64)
    return root


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
    monkeypatch.setitem(MOST, "lr", 1e30)
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

    def die_in_second_epoch(trainer: Any, epochs: Any) -> None:
        report(trainer, epochs)
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
    truth = json.loads((cell.folder / "ground_truth.json").read_text())
    assert len(truth["images"]) == len(open_detection(out / "data").val)
    for found in json.loads((cell.folder / "predictions.json").read_text()):
        assert found["category_id"] in (1, 2, 3) and found["image_id"] in (1, 2) and len(found["bbox"]) == 4
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
