"""A stock model scaled to another's budget really has it, at the data's classes, and is trained as such."""

from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.errors import SpecError
from experiments.run.plan import plan
from experiments.spec.spec import Model
from experiments.trainers.yolo.capacity_control import scaled, write_scaled
from yoloplug.cost.flops import count_flops, count_parameters

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
    path, about = write_scaled(model, 3, 64, folder)
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
