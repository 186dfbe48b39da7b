"""A stock model scaled to another's budget really has it, at the data's classes, and is trained as such."""

from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.errors import SpecError
from experiments.run.plan import plan
from experiments.spec.budget import Budget
from experiments.spec.spec import Model
from experiments.trainers.yolo.capacity_control import at_latency, scaled, write_scaled
from yoloplug.cost.flops import count_flops, count_parameters
from yoloplug.cost.timing import LatencyMs

BUDGET = Budget(epochs=1, imgsz=64, batch=2, threads=1)
TINY = """\
nc: 80
scales: {{n: [1.0, 1.0, 1024]}}
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 1, {block}, [{width}, True]]
  - [-1, 1, Conv, [256, 3, 2]]
head:
  - [[2, 3], 1, Detect, [nc]]
"""


def write_tiny(folder: Path, name: str, block: str = "C2f", width: int = 128) -> str:
    path = folder / f"yolov8n-{name}.yaml"
    path.write_text(TINY.format(block=block, width=width))
    return str(path)


def built(yaml: str) -> Any:
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    return DetectionModel(yaml_model_load(yaml), nc=3, verbose=False)


def check(model: Model, folder: Path) -> None:
    """Build what was written, and compare with the wish."""
    path, about = write_scaled(model, 3, BUDGET, folder, folder / "shared")
    assert path == folder / f"{model.label}.yaml" and path.read_text().startswith(f"# {model.model} at the {model.by}")

    def cost(yaml: str) -> int:
        network = built(yaml)
        return count_parameters(network) if model.by == "params" else count_flops(network, torch.zeros(1, 3, 64, 64))[0]

    ours, wish, before = cost(str(path)), cost(str(model.matched_to)), cost(model.model)
    assert abs(ours / wish - 1) <= 0.02 < abs(before / wish - 1)
    assert about["off"] == pytest.approx(ours / wish - 1, abs=2e-3)


@pytest.mark.parametrize("by", ["params", "flops"])
def test_built_model_has_the_budget(by: str, tmp_path: Path) -> None:
    stock, other = write_tiny(tmp_path, "tiny"), write_tiny(tmp_path, "tiny-wide", "C2f", 144)
    model = Model(stock, matched_to=other, by=by)
    assert model.label == f"yolov8n-tiny-as-wide-{by}"
    check(model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["params", "flops"])
def test_stock_yolo_at_a_plug_ins_budget(by: str, tmp_path: Path) -> None:
    check(Model("yolov8n.yaml", matched_to="yolov8n-C2f_gnConv.yaml", by=by), tmp_path)


def test_latency_is_matched_by_times_taken_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose time is 3 ms and 1 ms a MFLOP, stock costs as much as the other where it has its FLOPs."""
    stock, other = write_tiny(tmp_path, "tiny"), write_tiny(tmp_path, "tiny-wide", "C2f", 192)
    model, timed = Model(stock, matched_to=other, by="latency"), []

    def taken(passes: Any, runs: int, warmup: int, device: str) -> dict[str, LatencyMs]:
        ms = {name: 3 + count_flops(call.func, call.args[0])[0] / 1e6 for name, call in passes.items()}
        timed.append(ms)
        return {name: LatencyMs(value, value, value) for name, value in ms.items()}

    monkeypatch.setattr("experiments.trainers.yolo.capacity_control.interleaved_ms", taken)
    path, about = write_scaled(model, 3, BUDGET, tmp_path / "s0", tmp_path / "shared")
    assert abs(about["off"]) <= 0.05 and about["off"] == about["latency_ms"] / about["wished_latency_ms"] - 1
    assert "1 thread(s)" in about["measured_on"] and 1 <= len(timed) <= 6
    count = len(timed)
    again, same = write_scaled(model, 3, BUDGET, tmp_path / "s1", tmp_path / "shared")  # another seed: no other model
    assert len(timed) == count and same == about and again.read_text() == path.read_text()


def test_a_latency_out_of_reach_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock, other = write_tiny(tmp_path, "tiny"), write_tiny(tmp_path, "tiny-wide", "C2f", 144)
    times = {"own": LatencyMs(9, 9, 9), "wish": LatencyMs(10, 10, 10)}
    monkeypatch.setattr("experiments.trainers.yolo.capacity_control.interleaved_ms", lambda *_: times)
    with pytest.raises(SpecError, match="the nearest is -10%; run on a quiet machine, or match by flops"):
        at_latency(Model(stock, matched_to=other, by="latency"), 3, BUDGET)


def test_out_of_reach_names_the_nearest(tmp_path: Path) -> None:
    model = Model(write_tiny(tmp_path, "tiny"), matched_to="yolov8x.yaml", by="params")
    with pytest.raises(SpecError, match=r"no width of .*comes within 2% of .*; the nearest is -\d"):
        scaled(model, 3, 64)


SPEC = """\
name: tiny
task: {task}
models:
  - yolov8n.yaml
  - {model}
datasets: {{data: data}}
seeds: [0]
budget: {{epochs: 1, imgsz: 64, batch: 2}}
"""


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            "{model: yolov8n.yaml, matched_to: yolov8n-C2f_gnCov.yaml, by: params}",
            r":5: .*did you mean yolov8n.yaml",
        ),
        ("{model: yolov8n.yaml, matched_to: yolov8n.yaml, by: parms}", r":5: models.1.by: .*did you mean params"),
        ("{model: yolov8n.yaml, matched_to: yolov8n.yaml}", r":5: models.1.matched_to: goes with the other"),
        ("{model: yolov8n.yaml, by: params}", r":5: models.1.by: goes with the other"),
    ],
)
def test_refused(model: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.format(task="detect", model=model))
    with pytest.raises(SpecError, match=words):
        plan(path, tmp_path, tmp_path / "out")
