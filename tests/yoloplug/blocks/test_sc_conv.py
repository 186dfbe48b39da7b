"""SCConv equals the de-facto code's recorded tensors; where that code leaves the paper, both readings are shown."""

from __future__ import annotations

import pytest
import torch

from yoloplug.blocks import CRU, SRU, GroupBatchnorm2d, SCConv


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("sru_gn", SRU(16, groups=4)),
        ("sru_customgn", SRU(16, groups=4, norm=GroupBatchnorm2d)),
        ("groupbatchnorm2d", GroupBatchnorm2d(4, 16)),
        ("cru", CRU(16)),
        ("scconv_srcr", SCConv(32)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_everything_informative_passes_through():
    x = torch.randn(2, 16, 5, 6)
    assert torch.equal(SRU(16, gate_threshold=-1)(x), x)


def test_nothing_informative_swaps_halves_under_the_papers_hard_gate():
    x = torch.randn(2, 16, 5, 6)
    y = SRU(16, gate_threshold=2, gate="hard")(x)
    assert torch.equal(y, torch.cat(x.chunk(2, dim=1)[::-1], dim=1))


def test_soft_gate_weighs_below_the_threshold_with_the_sigmoid():
    """The de-facto code: below the threshold both parts keep the sigmoid; a fresh norm has gain 1, share 1/c."""
    x = torch.randn(1, 4, 5, 6)
    module = SRU(4, groups=2, gate_threshold=2)
    weighed = x * torch.sigmoid(module.gn(x) / 4)
    swapped = torch.cat(weighed.chunk(2, dim=1)[::-1], dim=1)
    torch.testing.assert_close(module(x), weighed + swapped)


def test_attention_over_channels_shrinks_and_over_branches_does_not():
    """The de-facto softmax spreads a weight of 1 over 2c channels, the paper's over each pair: c times more output."""
    torch.manual_seed(0)
    ours, papers = CRU(32).double(), CRU(32, softmax="branches").double()
    papers.load_state_dict(ours.state_dict())
    x = torch.randn(1, 32, 7, 9, dtype=torch.float64)
    ratio = papers(x).norm() / ours(x).norm()
    assert 25 < ratio < 40


def test_branch_attention_is_a_convex_mix_of_both_branches():
    module = CRU(8, softmax="branches").double()
    x = torch.randn(1, 8, 5, 6, dtype=torch.float64)
    up, low = x.chunk(2, dim=1)
    up, low = module.squeeze1(up), module.squeeze2(low)
    first, second = module.GWC(up) + module.PWC1(up), torch.cat([module.PWC2(low), low], dim=1)
    share = torch.sigmoid(first.mean((2, 3), keepdim=True) - second.mean((2, 3), keepdim=True))
    torch.testing.assert_close(module(x), share * first + (1 - share) * second)


def test_parameter_count_is_the_published_one():
    assert sum(p.numel() for p in SCConv(64).parameters()) == 7616


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 20}, r"conv_groups=2 must divide c=20 and .*=5; use conv_groups from \[1, 5\]"),
        ({"c": 4, "conv_groups": 1, "squeeze": 4}, "c=4 with alpha=0.5 and squeeze=4 leaves parts of 0 and 0 channels"),
        ({"c": 18}, r"groups=4 must divide c=18; use groups from \[1, 2, 3, 6, 9, 18\]"),
        ({"c": 9, "groups": 3}, "c must be even .* got c=9"),
        ({"c": 32, "alpha": 1.0}, "alpha must lie between 0 and 1, got 1.0"),
        ({"c": 32, "squeeze": 0}, "squeeze must be at least 1, got 0"),
        ({"c": 32, "k": 4}, "k must be odd and positive, got 4; use 5"),
        ({"c": 32, "gate": "open"}, r"gate must be one of \('soft', 'hard'\), got 'open'"),
        ({"c": 32, "softmax": "all"}, r"softmax must be one of \('channels', 'branches'\), got 'all'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        SCConv(**arguments)


def test_group_batch_norm_refuses_uneven_groups():
    with pytest.raises(ValueError, match="groups=4 must divide c=10"):
        GroupBatchnorm2d(4, 10)
