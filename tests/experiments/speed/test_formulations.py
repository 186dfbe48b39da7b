"""Every block of the catalogue equals its straightforward formulation, output and gradients, in either layout."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch

from experiments.speed.blocks import build, operations
from experiments.speed.formulations import FORMULATIONS
from yoloplug import BLOCKS


def test_every_block_has_one():
    assert set(FORMULATIONS) == set(BLOCKS)


@pytest.mark.parametrize("name", sorted(BLOCKS))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_block_equals_it(name, layout):
    block = build(name, 16).double().to(memory_format=layout)
    other = copy.deepcopy(block)
    x = torch.randn(2, 16, 12, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    results = []
    for module, forward in ((block, block), (other, lambda x: FORMULATIONS[name](other, x))):
        seen = x.clone(memory_format=layout).requires_grad_()
        y = forward(seen)
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)).sum().backward()
        gradients = {key: parameter.grad for key, parameter in module.named_parameters()}
        results.append({"output": y.detach(), "gradient of x": seen.grad, **gradients})
    ours, expected = results
    largest = max(float(value.abs().max()) for key, value in expected.items() if key != "output")
    for key in expected:
        scale = largest if key != "output" else float(expected[key].abs().max())
        torch.testing.assert_close(
            ours[key], expected[key], rtol=0, atol=1e-9 * scale, msg=lambda m, key=key: f"{key}: {m}"
        )


@pytest.mark.parametrize("name, same", [("HDC", True), ("GatedConv", False)])
def test_the_same_operations_are_told_from_others(name, same):
    """HDC's norms may be a kernel's; GatedConv has one convolution where its formulation has two."""
    block, x = build(name, 64), torch.randn(1, 64, 48, 48)
    formulation = partial(FORMULATIONS[name], copy.deepcopy(block))
    assert (operations(block, x) == operations(formulation, x)) is same
