"""Every block of the catalogue, swapped into a pretrained network with `preserve: true`, leaves its function alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from ultralytics.nn.tasks import DetectionModel

from yoloplug import BLOCKS

Maps = Callable[..., list[torch.Tensor]]
Make = Callable[..., DetectionModel]


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
