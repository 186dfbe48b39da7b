"""GatedConv equals two published implementations' recorded tensors.

Not compared: gated_tf_cnum3, where the authors' code is a plain nn.Conv2d.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks import GatedConv, GroupBatchnorm2d


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("gated_elu", GatedConv(16, 12)),
        ("gated_elu_s2", GatedConv(16, 12, s=2)),
        ("gated_elu_r4", GatedConv(16, 12, d=4)),
        ("gated_elu_k5", GatedConv(16, 12, k=5)),
        ("gated_tf_same_s1", GatedConv(16, 12, d=2, padding="same")),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


class Zhaoyuzhi(nn.Module):
    """[up-sampling,] gated product, [norm,] activation: what surrounds the operation in that code."""

    def __init__(self, gated: GatedConv, norm: nn.Module | None = None, act: nn.Module | None = None) -> None:
        super().__init__()
        self.gated = gated
        self.norm = nn.Identity() if norm is None else norm
        self.act = nn.LeakyReLU(0.2) if act is None else act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.gated(x)))

    @staticmethod
    def convert_reference(state: dict[str, Tensor]) -> dict[str, Tensor]:
        names = {"norm.gamma": "norm.weight", "norm.beta": "norm.bias"}
        shapes = {"norm.gamma": (-1, 1, 1), "norm.beta": (-1, 1, 1)}
        state = {
            names.get(key, key.removeprefix("gated_conv2d.")): value.reshape(shapes.get(key, value.shape))
            for key, value in state.items()
        }
        norm = {key: value for key, value in state.items() if key.startswith("norm.")}
        gated = GatedConv.convert_reference({key: value for key, value in state.items() if key not in norm})
        return norm | {f"gated.{key}": value for key, value in gated.items()}


class Transposed(Zhaoyuzhi):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("gated_zyz_lrelu", Zhaoyuzhi(GatedConv(16, 12, gate_first=True))),
        (
            "gated_zyz_in_reflect_s2",
            Zhaoyuzhi(GatedConv(16, 12, s=2, padding="reflect", gate_first=True), nn.InstanceNorm2d(12)),
        ),
        ("gated_zyz_bn_d2", Zhaoyuzhi(GatedConv(16, 12, d=2, gate_first=True), nn.BatchNorm2d(12), nn.ReLU())),
        (
            "gated_zyz_ln",
            Zhaoyuzhi(GatedConv(16, 12, padding="replicate", gate_first=True), GroupBatchnorm2d(1, 12, eps=1e-8)),
        ),
        ("gated_zyz_transpose", Transposed(GatedConv(16, 12, gate_first=True))),
    ],
)
def test_equals_the_variant_that_gates_first(golden, name, module):
    golden(name).check(module)


def test_order_of_gate_and_activation_matters_except_for_relu():
    """A positive factor passes through ReLU: gating first is the paper's order there, and not with ELU."""
    x = torch.randn(2, 4, 7, 9)
    for act, equal in ((nn.ReLU, True), (nn.ELU, False)):
        paper, first = GatedConv(4, 6, act=act), GatedConv(4, 6, gate_first=True)
        first.load_state_dict(paper.state_dict())
        assert torch.allclose(act()(first(x)), paper(x), atol=1e-6) is equal


def test_all_gates_open_is_a_convolution_and_elu():
    module = GatedConv(4, 3)
    with torch.no_grad():
        module.conv.weight[3:] = 0
        module.conv.bias[3:] = 100
    x = torch.randn(2, 4, 7, 9)
    plain = F.conv2d(x, module.conv.weight[:3], module.conv.bias[:3], padding=1)
    torch.testing.assert_close(module(x), F.elu(plain))


def test_gates_start_unsaturated():
    module = GatedConv(32, 32)
    gate = module.conv(torch.randn(4, 32, 16, 16)).chunk(2, 1)[1].sigmoid()
    assert 0.05 < gate.quantile(0.01) and gate.quantile(0.99) < 0.95


@pytest.mark.parametrize(("size", "before"), [(8, 0), (9, 1)])
def test_same_padding_is_tensorflows(size, before):
    """k=3, s=2: an even size gets one pixel, at the end; an odd size gets one at each side."""
    module = GatedConv(4, 6, s=2, padding="same")
    x = torch.randn(1, 4, size, size)
    padded = F.pad(x, [before, 1, before, 1])
    features, gate = F.conv2d(padded, module.conv.weight, module.conv.bias, stride=2).chunk(2, 1)
    torch.testing.assert_close(module(x), F.elu(features) * gate.sigmoid())


@pytest.mark.filterwarnings("ignore:.*is deprecated. Please switch:FutureWarning", "error::torch.jit.TracerWarning")
@pytest.mark.parametrize("padding", ["same", "reflect", "replicate"])
@pytest.mark.parametrize("s", [1, 2, 3])
def test_every_padding_gives_the_promised_size_also_when_traced(padding, s):
    module = GatedConv(2, 4, k=5, s=s, padding=padding)
    traced = torch.jit.trace(module, torch.randn(1, 2, 12, 12))
    for h, w in ((7, 9), (12, 11)):
        x = torch.randn(1, 2, h, w)
        assert module(x).shape == (1, 4, -(-h // s), -(-w // s))
        torch.testing.assert_close(traced(x), module(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 8, "c2": 0}, "got c1=8, c2=0, s=1"),
        ({"c1": 8, "c2": 8, "k": 2}, "k must be odd and positive, got 2"),
        ({"c1": 8, "c2": 8, "padding": "zero"}, r"padding must be one of \('symmetric', .*\), got 'zero'"),
        ({"c1": 8, "c2": 8, "k": 1, "s": 2, "padding": "same"}, r"needs s <= \(k-1\)\*d \+ 1 = 1, got s=2"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        GatedConv(**arguments)
