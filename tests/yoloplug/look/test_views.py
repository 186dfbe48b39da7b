"""Every block that lets itself be watched: which values there are, and that they are those it computes with."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from yoloplug.blocks import GBC, CondConv, DCNv2, GatedConv, PartialConv, SCConv, SplitAttention, gnConv
from yoloplug.look.views import View, views_of
from yoloplug.registry import BLOCKS

EXPECTED = {
    "CondConv": {"experts"},
    "CondConvResidual": {"experts"},
    "DCNv1": {"offset"},
    "DCNv2": {"offset", "modulation"},
    "DCNv3": {"offset", "modulation"},
    "DCNv4": {"offset", "modulation"},
    "DynamicConv": {"experts"},
    "GBC": {"gate"},
    "GatedConv": {"gate"},
    "HorBlock": {"gate"},
    "Involution": {"kernels"},
    "ODConv": {"experts", "taps", "input channels", "output channels"},
    "PartialConv": {"ratio"},
    "RepVGGSEBlock": {"gate"},
    "ResNeStBottleneck": {"attention"},
    "SCConv": {"gate", "informative", "attention"},
    "SelfCalBottleneck": {"gate"},
    "SelfCalConv": {"gate"},
    "SplitAttention": {"attention"},
    "gnConv": {"gate"},
}
"""Also the table of docs/look.md."""


def build(name: str) -> nn.Module:
    return BLOCKS[name].cls(*((32,) if BLOCKS[name].kind == "keep" else (32, 32, 3, 1))).eval()


def look(block: nn.Module, x: torch.Tensor | None = None) -> list[View]:
    given = torch.randn(1, 32, 8, 10) if x is None else x
    return views_of(block, lambda: block(given))


def names(view: View) -> set[str]:
    found = {re.sub(r"( \d)+$", "", name) for name in (*view.maps, *view.bars)}
    if view.sampling is not None:
        found |= {"offset"} if view.sampling.weights is None else {"offset", "modulation"}
    return found


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_what_a_block_shows(name):
    views = look(build(name))
    assert set().union(*map(names, views)) == EXPECTED.get(name, set())
    for view in views:
        assert view.kinds
        for value in view.maps.values():
            assert value.dim() == 3 and value.shape[1:] == (8, 10) and value.isfinite().all()
        for value in view.bars.values():
            assert value.dim() == 1 and value.isfinite().all()


def test_the_page_lists_what_there_is():
    page = (Path(__file__).parents[3] / "docs" / "look.md").read_text().split("## Which blocks show what")[1]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", page, re.M)
    listed = {
        block: set(shown.strip().split(", ")) for blocks, shown in rows for block in re.findall(r"`(\w+)`", blocks)
    }
    assert listed == EXPECTED


def test_nothing_is_kept_without_a_watcher_and_hooks_are_removed():
    block = build("GatedConv")
    views = look(block)
    block(torch.randn(1, 32, 8, 10))
    assert len(views) == 1 and not block._forward_pre_hooks


def test_a_gate_without_weights_is_half_open():
    block = GatedConv(32, 16)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    (view,) = look(block)
    assert torch.equal(view.maps["gate"], torch.full((16, 8, 10), 0.5))


def test_gates_are_those_that_multiply():
    """gnConv of order 1 is W_out (p * gate); GBC's output is rebuilt from its gate."""
    x = torch.randn(1, 32, 8, 10)
    block = gnConv(32, order=1)
    (view,) = look(block, x)
    p = block.proj_in(x)[:, :32]
    assert torch.allclose(block.proj_out(p * view.maps["gate"]), block(x), atol=1e-5)
    gbc = GBC(32)
    (view,) = look(gbc, x)
    assert torch.allclose(x + gbc.block4(gbc.block2(gbc.block1(x)) * view.maps["gate"]), gbc(x), atol=1e-5)


def test_gn_conv_has_one_gate_an_order():
    (view,) = look(gnConv(32, order=3))
    assert {name: len(gate) for name, gate in view.maps.items()} == {"gate 1": 8, "gate 2": 16, "gate 3": 32}


def test_shares_sum_to_one():
    _, cru = look(SCConv(32))
    assert sum(values.sum() for values in cru.bars.values()) == pytest.approx(1, abs=1e-5)
    (split,) = look(SplitAttention(32, 16, radix=2).eval())
    assert torch.allclose(split.bars["attention 1"] + split.bars["attention 2"], torch.ones(16))
    (dynamic,) = look(build("DynamicConv"))
    assert dynamic.bars["experts"].sum() == pytest.approx(1, abs=1e-5)


def test_experts_follow_the_image():
    block = CondConv(32, 32)
    nn.init.zeros_(block.routing_fn.weight)
    with torch.no_grad():
        block.routing_fn.bias.copy_(torch.tensor([0.0, 10.0, -10.0, 0.0]))
    (view,) = look(block)
    assert view.bars["experts"].tolist() == pytest.approx([0.5, 1, 0, 0.5], abs=1e-4)


def test_partial_conv_counts_its_border():
    (view,) = look(PartialConv(32, 32))
    ratio = view.maps["ratio"][0]
    assert ratio[4, 4] == pytest.approx(1) and ratio[0, 4] == pytest.approx(9 / 6)
    assert ratio[0, 0] == pytest.approx(9 / 4)


def test_a_block_that_runs_twice_is_shown_twice():
    gate = GBC(32)
    views = look(nn.Sequential(gate, gate))
    assert [view.name for view in views] == ["0 (call 1)", "0 (call 2)"]
    assert not torch.equal(views[0].maps["gate"], views[1].maps["gate"])


def test_kinds():
    assert look(DCNv2(32, 32))[0].kinds == ["offset"]
    assert look(GBC(32))[0].kinds == ["gate"]
