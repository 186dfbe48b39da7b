"""What stock `model.info()` prints counts our blocks as `yoloplug profile` does; stock models keep their numbers."""

from __future__ import annotations

import logging

import pytest
import thop
import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import ClassificationModel, DetectionModel
from ultralytics.utils import LOGGER, torch_utils

from yoloplug import BLOCKS
from yoloplug.bridge.patches import flops
from yoloplug.cost.flops import count_flops

STOCK = torch_utils.get_flops.__wrapped__
WIDTH = 32


class Free(nn.Module):
    """Costs nothing and gives the size that a block gives."""

    def __init__(self, enlarge: int) -> None:
        super().__init__()
        self.enlarge = enlarge

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.enlarge, -1).repeat_interleave(self.enlarge, -2)


class First(nn.Module):
    """Costs nothing and gives its first input."""

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        return x


def detector(name: str, options: dict[str, object]) -> DetectionModel:
    rows = [[-1, 1, "Conv", [WIDTH, 3, 2]], [-1, 1, name, [WIDTH, 3, 1, options]]]
    head = [[[1], 1, "Detect", ["nc"]]]
    return DetectionModel({"nc": 2, "backbone": rows, "head": head, "yaml_file": "one.yaml"}, verbose=False)


GF = ("gnConv", {"order": 3, "filter": "global_local"})


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in sorted(BLOCKS)), GF])
@pytest.mark.parametrize("imgsz", [320, [64, 96]])
def test_a_blocks_part_is_what_it_costs_alone(name, options, imgsz):
    model = detector(name, options)
    total = torch_utils.get_flops(model, imgsz)
    block, side = model.model[1].block, [imgsz, imgsz] if isinstance(imgsz, int) else imgsz
    x = torch.rand(1, WIDTH, side[0] // 2, side[1] // 2)
    cost = count_flops(block, x).flops
    assert cost > 0
    model.model[1].block = Free(block.eval()(x).shape[-1] // x.shape[-1])
    assert total - torch_utils.get_flops(model, imgsz) == pytest.approx(cost / 1e9, rel=1e-3)


def test_a_row_with_two_inputs_is_counted_with_both():
    rows = [
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [32, 3, 2]],
        [-1, 1, "Conv", [32, 3, 1]],
        [[-1, 0], 1, "CondParamConv", [32]],
    ]
    config = {"nc": 2, "backbone": rows, "head": [[[3], 1, "Detect", ["nc"]]], "yaml_file": "two.yaml"}
    model = DetectionModel(config, verbose=False)
    x, condition = torch.rand(1, 32, 24, 16), torch.rand(1, 16, 48, 32)
    total, cost = torch_utils.get_flops(model, [96, 64]), count_flops(model.model[3].block, x, condition).flops
    model.model[3].block = First()
    assert total - torch_utils.get_flops(model, [96, 64]) == pytest.approx(cost / 1e9, rel=1e-3)


def test_info_of_a_whole_model_differs_from_stock_by_the_blocks_only():
    """thop also counts normalisation and resizing: the same surplus over our count in both models."""
    surplus = []
    for yaml in ("yolov8n.yaml", "yolov8n-C2f_DCNv2.yaml"):
        model = DetectionModel(yaml, verbose=False)
        *_, gflops = model.info(imgsz=160)
        surplus.append(gflops - count_flops(model, torch.rand(1, 3, 160, 160)).flops / 1e9)
    assert surplus[0] == pytest.approx(surplus[1], rel=0.01)


@pytest.mark.parametrize(
    ("build", "yaml"),
    [(DetectionModel, "yolov8n.yaml"), (DetectionModel, "yolo11n.yaml"), (ClassificationModel, "yolov8n-cls.yaml")],
)
def test_stock_models_keep_their_number(build, yaml):
    model = build(yaml, verbose=False)
    assert torch_utils.get_flops(model) == STOCK(model) > 0


def test_a_stock_model_meets_no_rule_of_ours(monkeypatch):
    monkeypatch.setattr(flops, "_thop_rules", lambda: pytest.fail("asked for rules"))
    assert torch_utils.get_flops(nn.Sequential(nn.Conv2d(3, 4, 1)), 32) is not None


def test_the_size_is_640_where_none_is_said_and_equal_blocks_share_nothing():
    rows = [[-1, 1, "Conv", [WIDTH, 3, 2]], [-1, 1, "CondConv", [WIDTH, 3, 1]], [-1, 1, "DCNv2", [WIDTH, 3, 1]]]
    model = DetectionModel({"nc": 2, "backbone": rows, "head": [[[2], 1, "Detect", ["nc"]]]}, verbose=False)
    total, side = torch_utils.get_flops(model), torch.rand(1, WIDTH, 320, 320)
    assert total == torch_utils.get_flops(model, 640)
    costs = [count_flops(model.model[i].block, side).flops for i in (1, 2)]
    for i in (1, 2):
        model.model[i].block = Free(1)
    assert total - torch_utils.get_flops(model) == pytest.approx(sum(costs) / 1e9, rel=1e-3) and costs[0] != costs[1]


def test_a_block_of_another_type_is_counted_alone_without_memory():
    """Its own children's counts go, their input's other arguments stay; thop keeps buffers or numbers."""
    block = BLOCKS["GatedConv"].cls(8, 8).double()
    for module in block.modules():
        module.total_ops = 5
    count = flops._rule((64, 32), [(64, 32), (16, 16)])
    x = torch.rand(1, 8, 16, 16, dtype=torch.double)
    count(block, (x,), None)
    expected = count_flops(block, torch.rand(1, 8, 64, 32, dtype=torch.double)).flops // 2
    assert block.total_ops == 5 + expected * 256 / 2048
    assert all(child.total_ops == 0 for child in block.modules() if child is not block)


def test_nothing_stays_behind():
    model, rules = detector("gnConv", {}), thop.profile.__globals__["register_hooks"]
    before = dict(rules)
    assert torch_utils.get_flops(model) > 0
    assert rules == before
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_a_failure_of_thop_is_said(monkeypatch, caplog):
    model = detector("gnConv", {})

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(thop, "profile", fail)
    monkeypatch.setattr(LOGGER, "propagate", True)
    with caplog.at_level(logging.WARNING, LOGGER.name):
        assert torch_utils.get_flops(model) == 0.0
    assert "yoloplug profile" in caplog.text


def test_a_model_is_found_inside_its_wrappers():
    from yoloplug.bridge.patches.flops import _unwrapped

    model = nn.Conv2d(1, 1, 1)
    assert _unwrapped(nn.DataParallel(model)) is model and _unwrapped(model) is model
    assert _unwrapped(torch.compile(model)) is model
