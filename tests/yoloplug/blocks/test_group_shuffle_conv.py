"""GroupShuffleConv: the recorded permutation, and a dense convolution with permuted rows."""

from __future__ import annotations

import io

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks import GroupShuffleConv
from yoloplug.blocks.parts.channel_shuffle import channel_shuffle, unshuffled


class Shuffle(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(x, 4)


def test_permutation_equals_torchvisions(golden):
    golden("channel_shuffle_g4").check(Shuffle())


def test_unshuffled_finds_where_a_channel_was():
    values = torch.arange(12.0)
    before = unshuffled(values, 3)
    assert torch.equal(channel_shuffle(before[None, :, None, None], 3).flatten(), values)


@pytest.mark.parametrize(("g", "s"), [(1, 1), (2, 2), (4, 1)])
def test_equals_the_dense_convolution_with_permuted_rows(g, s):
    module = GroupShuffleConv(8, 12, 3, s, g, bias=True).double()
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64)
    weight, bias = torch.zeros(12, 8, 3, 3, dtype=torch.float64), torch.zeros(12, dtype=torch.float64)
    for i in range(12):
        row = (i % g) * (12 // g) + i // g  # the convolution's channel that comes out as i
        group = row // (12 // g)
        weight[i, group * (8 // g) : (group + 1) * (8 // g)] = module.conv.weight[row]
        bias[i] = module.conv.bias[row]
    torch.testing.assert_close(module(x), F.conv2d(x, weight, bias, s, 1))


class Rows(nn.Module):
    """What Detect does with a feature map: it reads its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = GroupShuffleConv(8, 12)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y.view(y.shape[0], y.shape[1], -1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_keeps_the_size_dynamic_for_the_layers_behind():
    module, file = Rows().eval(), io.BytesIO()
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    example = (torch.randn(1, 8, 8, 8),)
    torch.onnx.export(module, example, file, dynamo=False, opset_version=18, input_names=["x"], dynamic_axes=axes)
    x = torch.randn(2, 8, 12, 6)
    (y,) = onnxruntime.InferenceSession(file.getvalue()).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(y), module(x).detach(), rtol=1e-4, atol=1e-6)


def test_two_in_a_row_mix_all_groups_and_plain_group_convolutions_do_not():
    x = torch.randn(1, 16, 4, 4, requires_grad=True)
    for shuffled in (True, False):
        first, second = GroupShuffleConv(16, 16, g=4), GroupShuffleConv(16, 16, g=4)
        y = second(first(x)) if shuffled else second.conv(first.conv(x))
        (gradient,) = torch.autograd.grad(y[0, 0].sum(), x)
        assert (gradient.abs().sum((0, 2, 3)) > 0).sum() == (16 if shuffled else 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 30), r"GroupShuffleConv: g=4 must divide c1=16 and c2=30; use g from \[1, 2\]"),
        ((16, 32, 3, 1, 0), r"g=0 must divide .* use g from \[1, 2, 4, 8, 16\]"),
        ((16, 32, 4), "k must be odd and positive, got 4; use 5"),
        ((0, 32), "c1, c2, s must be at least 1, got c1=0, c2=32, s=1"),
        ((16, 32, 3, 0), "got c1=16, c2=32, s=0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        GroupShuffleConv(*arguments)
