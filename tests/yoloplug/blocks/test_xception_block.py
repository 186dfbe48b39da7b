"""XceptionBlock equals timm's recorded blocks, middle and exit flow, and the entry flow's form without first ReLU."""

from __future__ import annotations

import pytest
import torch
from timm.models.xception import Block
from torch import nn

from yoloplug.blocks import XceptionBlock
from yoloplug.blocks.parts.folding.batch_norm import fold_norms


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("xception_block_mid", XceptionBlock(16, 16)),
        ("xception_block_exit", XceptionBlock(16, 24, s=2, reps=2, grow_first=False)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_entry_flow_equals_timm(randomise_norms):
    theirs, ours = Block(8, 12, 2, 2, start_with_relu=False), XceptionBlock(8, 12, s=2, reps=2, start_with_relu=False)
    randomise_norms(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 8, 9, 11)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_its_input_stays_as_it_was():
    """The shortcut reads x after the first ReLU has run."""
    x = torch.randn(2, 8, 5, 6)
    before = x.clone()
    XceptionBlock(8, 8)(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize(("c2", "s", "reps"), [(8, 1, 3), (12, 2, 2), (8, 1, 1)])
def test_folding_its_norms_keeps_the_output(randomise_norms, c2, s, reps):
    module = XceptionBlock(8, c2, s=s, reps=reps).double().eval()
    randomise_norms(module)
    x = torch.randn(1, 8, 7, 9, dtype=torch.float64)
    expected = module(x)
    for _ in range(2):
        fold_norms(module)
        torch.testing.assert_close(module(x), expected)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 8, "c2": 8, "reps": 0}, "XceptionBlock: c1, c2, s, reps must be at least 1, .*reps=0"),
        ({"c1": 8, "c2": 8, "k": 2}, "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        XceptionBlock(**arguments)
