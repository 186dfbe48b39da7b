"""Ultralytics sets `inplace` on the activations of a new model and on every module of a loaded checkpoint."""

import copy

import pytest
import torch

from yoloplug.registry import BLOCKS


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_activations_in_place_change_nothing(name):
    """Neither the output nor the input, which shortcuts and other rows read; and gradients still flow."""
    block = BLOCKS[name].cls(*((32,) if BLOCKS[name].kind == "keep" else (32, 32, 3, 1))).eval()
    in_place = copy.deepcopy(block)
    for module in in_place.modules():
        if hasattr(module, "inplace"):
            module.inplace = True
    x = torch.randn(1, 32, 6, 7)
    before = x.clone()
    y = in_place(x)
    y.sum().backward()
    assert torch.equal(x, before) and torch.equal(y, block(x))
    assert all(parameter.grad is not None for parameter in in_place.parameters())
