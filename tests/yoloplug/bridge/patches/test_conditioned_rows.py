"""A row with a second input, which conditions the block: `[[-1, 4], 1, CondParamConv, [256, 3, 1]]`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from yoloplug import hosts
from yoloplug.blocks import CondParamConv


def build(row: int, change: list[Any]) -> DetectionModel:
    """Stock yolov8n with one row of the head replaced."""
    model = copy.deepcopy(yaml_model_load("yolov8n.yaml"))
    model["head"][row - len(model["backbone"])] = change
    return DetectionModel(model, verbose=False)


def test_width_of_the_condition_comes_from_its_layer() -> None:
    model = YOLO("yolov8n-CondParamConv.yaml", verbose=False).model
    rows = [m for m in model.model if isinstance(m, hosts.host("CondParamConv"))]
    assert [row.f for row in rows] == [[-1, 9], [-1, 9]]
    assert [(row.block.kernel_shape[1], row.block.c_condition) for row in rows] == [(64, 256), (128, 256)]


def test_the_second_input_reaches_the_block() -> None:
    row = hosts.host("CondParamConv")(8, 16, 3, 2, {"c_condition": 4}).eval()
    x, condition = torch.randn(2, 8, 9, 11), torch.randn(2, 4, 5, 5)
    y = row([x, condition])
    assert torch.equal(y, row.act(row.bn(row.block(x, condition))))
    assert (y - row([x, -condition])).abs().max() > 1e-4


def test_options_stand_beside_the_condition() -> None:
    model = build(16, [[-1, 4], 1, "CondParamConv", [256, 3, 2, {"rank": 8, "g": 2}]])
    block = model.model[16].block
    assert isinstance(block, CondParamConv)
    assert (block.c_condition, block.weight.shape[1], block.g) == (64, 8, 2)
    assert model(torch.rand(1, 3, 64, 96))


def test_one_input_conditions_itself() -> None:
    model = build(16, [-1, 1, "CondParamConv", [256, 3, 2]])
    assert model.model[16].block.c_condition == 64
    assert model(torch.rand(1, 3, 64, 96))


def test_three_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"row 16: CondParamConv: takes one input, got from=\[-1, 4, 9\]"):
        build(16, [[-1, 4, 9], 1, "CondParamConv", [256, 3, 2]])


def test_gradients_flow_into_both_inputs() -> None:
    row = hosts.host("CondParamConv")(8, 16, 3, 2, {"c_condition": 4}).train()
    inputs = [torch.randn(2, 8, 9, 11, requires_grad=True), torch.randn(2, 4, 5, 5, requires_grad=True)]
    (row(inputs) * torch.randn(2, 16, 5, 6)).sum().backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in inputs)
