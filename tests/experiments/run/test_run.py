"""Cells run once, failures do not stop the others, and folders of another run are refused."""

import json
import math
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
from experiments.demo.shapes import draw_shapes
from experiments.errors import SpecError
from experiments.run.plan import _refuse_other_run, plan
from experiments.run.run import run
from experiments.spec.read import read_spec
from experiments.tasks import TASKS

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
            start = "random start" if model.init is None else f"weights of {model.init}"
            assert row["method"]["start"].startswith(start) and row["method"]["epoch"] in range(1, 13)
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
