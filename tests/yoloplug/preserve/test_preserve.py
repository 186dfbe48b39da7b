"""Every block of the catalogue, swapped into a pretrained network with `preserve: true`, leaves its function alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from yoloplug import BLOCKS

Maps = Callable[..., list[torch.Tensor]]
Make = Callable[..., DetectionModel]
Looks = Callable[[DetectionModel], DetectionModel]


def check(mine: list[torch.Tensor], stock: list[torch.Tensor]) -> None:
    for changed, expected in zip(mine, stock, strict=True):
        torch.testing.assert_close(changed, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_the_changed_network_computes_what_the_stock_one_did(
    name: str, stock: DetectionModel, preserved: Make, heads: Maps
) -> None:
    """The maps that the head gets: in training (statistics of the batch), in inference, and fused."""
    changed, before = preserved(name), copy.deepcopy(stock)
    x = torch.rand(2, 3, 64, 64)
    check(heads(changed, x, False), heads(before, x, False))
    check(heads(copy.deepcopy(changed), x, True), heads(copy.deepcopy(before), x, True))
    check(heads(changed.fuse(verbose=False), x, False), heads(before.fuse(verbose=False), x, False))


@pytest.mark.parametrize(("base", "unit"), [("yolo11n.yaml", "C3k2"), ("yolov5n.yaml", "C3")])
@pytest.mark.parametrize("name", ["DCNv1", "gnConv", "HorBlock"])
def test_in_other_families(base: str, unit: str, name: str, looks_trained: Looks, heads: Maps) -> None:
    """C3k2's bottlenecks are half as wide inside; a block that keeps its width then stands behind the second conv."""
    config = yaml_model_load(base)
    stock = looks_trained(DetectionModel(copy.deepcopy(config), verbose=False))
    for row in [*config["backbone"], *config["head"]]:
        if row[2] == unit:
            row[2:] = [f"{unit}_{name}", [*row[3], {"preserve": True}]]
    changed = DetectionModel(config, verbose=False)
    changed.load(stock, verbose=False)
    x = torch.rand(2, 3, 64, 64)
    check(heads(changed, x, False), heads(stock, x, False))
    check(heads(copy.deepcopy(changed), x, True), heads(copy.deepcopy(stock), x, True))
    check(heads(changed.fuse(verbose=False), x, False), heads(stock.fuse(verbose=False), x, False))
