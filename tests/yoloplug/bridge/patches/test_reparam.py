"""Re-parameterisable blocks through stock Ultralytics: `model.fuse()` leaves one plain convolution in each row."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from yoloplug import BLOCKS
from yoloplug.hosts import ConvLike

NAMES = sorted(name for name, block in BLOCKS.items() if hasattr(block.cls, "to_conv"))


def config(name: str) -> dict[str, Any]:
    """yolov8n with the block as a row of stride 2 and inside C2f."""
    model = copy.deepcopy(yaml_model_load("yolov8n.yaml"))
    model["backbone"][3] = [-1, 1, name, [256, 3, 2]]
    model["backbone"][4][2] = f"C2f_{name}"
    return model


def build(name: str) -> DetectionModel:
    return DetectionModel(config(name), verbose=False)


def rows(model: nn.Module) -> list[ConvLike]:
    return [module for module in model.modules() if isinstance(module, ConvLike)]


def test_the_family_is_known() -> None:
    assert {"ACBlock", "DBB", "DOConv", "RepVGGBlock"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_fuse_leaves_one_convolution_in_each_row(
    name: str, randomise_norms: Callable[[nn.Module], None], log: list[str]
) -> None:
    model = build(name).double().eval()
    randomise_norms(model)
    x = torch.rand(1, 3, 96, 64, dtype=torch.double)
    before = model(x)[0]
    assert [type(row.block) for row in rows(model)] == [BLOCKS[name].cls] * 3
    model.fuse(verbose=False)
    for row in rows(model):
        kinds = [type(part) for part in row.modules() if not list(part.children())]
        if BLOCKS[name].kind == "conv":
            assert [kind for kind in kinds if kind is not nn.Identity] == [nn.Conv2d, type(row.act)]
        assert type(row.block) is nn.Conv2d and nn.BatchNorm2d not in kinds
    assert [line for line in log if line.startswith("yoloplug")] == [
        f"yoloplug: 3 re-parameterisable blocks ({name}) became one Conv2d each"
    ]
    torch.testing.assert_close(model(x)[0], before, rtol=1e-9, atol=1e-9)
    model.fuse(verbose=False)
    assert sum(line.startswith("yoloplug") for line in log) == 1, "nothing is left to merge"


def test_fused_cost_is_a_stock_models(randomise_norms: Callable[[nn.Module], None]) -> None:
    """The deploy form has the parameters of stock yolov8n, fused."""
    stock = DetectionModel("yolov8n.yaml", verbose=False).fuse(verbose=False)
    expected = sum(p.numel() for p in stock.parameters())
    assert sum(p.numel() for p in build("DBB").fuse(verbose=False).parameters()) == expected


def test_blocks_that_cannot_merge_are_not_counted(log: list[str]) -> None:
    model = copy.deepcopy(yaml_model_load("yolov8n.yaml"))
    model["backbone"][4][2] = "C2f_gnConv"
    model["backbone"][6][2] = "C2f_RepVGGSEBlock"
    DetectionModel(model, verbose=False).fuse(verbose=False)
    assert not [line for line in log if line.startswith("yoloplug")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_stock_export_is_the_deploy_form(
    name: str, randomise_norms: Callable[[nn.Module], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`yolo export format=onnx`: as many convolutions as stock yolov8n has, no norm, the train form's output."""
    monkeypatch.chdir(tmp_path)
    Path("yolov8-reparam.yaml").write_text(json.dumps(config(name)))
    yolo = YOLO("yolov8n-reparam.yaml", verbose=False)
    randomise_norms(yolo.model.eval())
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = yolo.model(x)[0]
    nodes = [node.op_type for node in onnx.load(yolo.export(format="onnx", imgsz=64, verbose=False)).graph.node]
    stock = onnx.load(YOLO("yolov8n.yaml", verbose=False).export(format="onnx", imgsz=64, verbose=False)).graph.node
    assert nodes.count("Conv") == sum(node.op_type == "Conv" for node in stock)
    assert "BatchNormalization" not in nodes
    session = onnxruntime.InferenceSession(tmp_path / "yolov8n-reparam.onnx")
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert (torch.from_numpy(y) - expected).abs().max() <= 1e-4 * expected.abs().max()
