"""Loggers are off unless asked for, and then write what TensorBoard reads."""

import os
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from experiments.demo.cracks import draw_cracks
from experiments.demo.shapes import draw_shapes
from experiments.errors import SpecError
from experiments.run.plan import plan
from experiments.run.run import run
from experiments.trainers.yolo.loggers import check_loggers, logging_to

SPEC = """\
name: tiny
task: {task}
models: {models}
datasets: {{data: data}}
seeds: [0]
budget: {{epochs: 2, imgsz: 64, batch: 2, workers: 0, threads: 1}}
{extra}
"""


def write(folder: Path, task: str, models: str, extra: str = "") -> Path:
    path = folder / "tiny.yaml"
    path.write_text(SPEC.format(task=task, models=models, extra=extra))
    return path


def scalars(folder: Path) -> dict[str, list[int]]:
    """Tag -> steps, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_segmentation_writes_tensorboard_events(tmp_path: Path) -> None:
    draw_cracks(tmp_path / "data", train=4, test=1, side=64)
    models = "[{model: unet, encoder: tu-mobilenetv3_small_050}]"
    spec = write(tmp_path, "segment", models, "train: {val_split: 0.25}\nloggers: [tensorboard]")
    assert run(spec, tmp_path, tmp_path / "out", str) == 0
    (cell,) = (tmp_path / "out" / "cells").iterdir()
    found = scalars(cell / "train" / "tensorboard")
    assert found["train_loss"] == [1, 2] and found["val_iou_crack"] == [1, 2]


@pytest.mark.slow
def test_detection_writes_tensorboard_events_when_asked(tmp_path: Path) -> None:
    """In processes of their own: under pytest Ultralytics switches its loggers off."""
    draw_shapes(tmp_path / "data", train=4, val=2, side=64)
    spec = write(tmp_path, "detect", "[yolov8n.yaml]")
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    for out, extra in (("quiet", []), ("logged", ["--logger", "tensorboard"])):
        command = [sys.executable, "-m", "experiments", "run", str(spec), "--data-root", str(tmp_path), *extra]
        root = Path(__file__).parents[3]
        done = subprocess.run([*command, "--out", str(tmp_path / out)], env=environment, cwd=root, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
    cell = Path("cells") / "yolov8n-data-s0" / "train"
    assert not list((tmp_path / "quiet" / cell).glob("events.out.tfevents.*"))
    assert scalars(tmp_path / "logged" / cell)["train/box_loss"] == [1, 2]


def test_users_own_settings_neither_count_nor_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ultralytics.utils import SETTINGS, SETTINGS_FILE

    draw_shapes(tmp_path / "data", train=2, val=1, side=64)
    (cell,) = plan(write(tmp_path, "detect", "[yolov8n.yaml]"), tmp_path, tmp_path / "out").cells
    dict.__setitem__(SETTINGS, "wandb", True)
    before, text = dict(SETTINGS), Path(SETTINGS_FILE).read_text()
    with logging_to(cell):
        assert not any(SETTINGS[name] for name in ("mlflow", "tensorboard", "wandb", "comet", "clearml"))
    assert dict(SETTINGS) == before and Path(SETTINGS_FILE).read_text() == text
    dict.__setitem__(SETTINGS, "wandb", False)
    (cell,) = plan(
        write(tmp_path, "detect", "[yolov8n.yaml]"), tmp_path, tmp_path / "out", None, ("tensorboard",)
    ).cells
    with logging_to(cell):
        assert SETTINGS["tensorboard"] and not SETTINGS["wandb"]
        assert os.environ["MLFLOW_RUN"] == "yolov8n-data-s0"
    assert "MLFLOW_RUN" not in os.environ


def test_a_missing_package_is_named_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = util.find_spec
    find = "experiments.trainers.yolo.loggers.find_spec"
    monkeypatch.setattr(find, lambda name: None if name == "wandb" else real(name))
    with pytest.raises(SpecError, match="wandb needs its package; pip install wandb"):
        check_loggers(("tensorboard", "wandb"))


def test_an_unknown_logger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'tensorbord' is unknown; did you mean tensorboard"):
        plan(write(tmp_path, "detect", "[yolov8n.yaml]", "loggers: [tensorbord]"), tmp_path, tmp_path / "out")
