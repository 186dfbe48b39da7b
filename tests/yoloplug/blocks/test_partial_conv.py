"""PartialConv equals NVIDIA's recorded tensors, with masks, without, and where that code goes wrong."""

from __future__ import annotations

import io

import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from yoloplug.blocks import PartialConv


class Both(PartialConv):
    """Gives the mask too, as the recorded runs do."""

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(x, mask, return_mask=True)


def disc(h: int = 9, w: int = 11, channels: int = 1) -> Tensor:
    """A mask with a round hole wide enough that some windows see nothing valid."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    hole = (y - h // 2) ** 2 + (x - w // 2) ** 2 <= 9
    return (~hole).float().expand(1, channels, h, w).clone()


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("pconv_mask", Both(16, 12)),
        ("pconv_mask_nobias_s2", Both(16, 12, s=2, bias=False)),
        ("pconv_mask_multi", Both(16, 12, multi_channel=True)),
    ],
)
def test_equals_reference_with_mask(golden, name, module):
    golden(name).check(module, "x", "mask")


def test_equals_reference_without_mask(golden):
    golden("pconv_nomask").check(PartialConv(16, 12))


@pytest.mark.parametrize("g", [1, 2])
@pytest.mark.parametrize("multi_channel", [False, True])
def test_equals_a_loop_over_valid_pixels(multi_channel, g):
    """Each window's mean over valid pixels times its size, plus bias; zero where the window sees none."""
    torch.manual_seed(0)
    module = PartialConv(4, 2, d=2, g=g, multi_channel=multi_channel).double()
    x = torch.randn(1, 4, 9, 11, dtype=torch.float64)
    mask = disc().double()
    if multi_channel:
        mask = (torch.rand(1, 4, 9, 11) < 0.3).double() * mask
    y, after = module(x, mask, return_mask=True)
    assert after.shape == (1, 2 if multi_channel else 1, 9, 11)
    seen, values = F.pad(mask.expand_as(x), (2, 2, 2, 2))[0], F.pad(x * mask, (2, 2, 2, 2))[0]
    for out in range(2):
        inputs = slice(4 // g * (out % g), 4 // g * (out % g + 1))
        for row in range(9):
            for column in range(11):
                window = (inputs, slice(row, row + 5, 2), slice(column, column + 5, 2))
                share = seen[window].mean()
                dot = (module.weight[out] * values[window]).sum()
                expected = dot / share + module.bias[out] if share > 0 else torch.zeros(())
                assert y[0, out, row, column].item() == pytest.approx(expected.item(), abs=1e-6)
                assert after[0, min(out, after.shape[1] - 1), row, column] == (share > 0)


def test_holes_do_not_leak_and_close_layer_by_layer():
    module, mask = PartialConv(3, 3), disc()
    x = torch.randn(1, 3, 9, 11)
    y, after = module(x, mask, return_mask=True)
    spoilt = x.masked_fill(mask == 0, 1e6)
    assert torch.equal(module(spoilt, mask), y)
    assert mask.sum() < after.sum() < mask.numel() and not y[:, :, after[0, 0] == 0].any()
    for _ in range(2):
        y, after = module(y, after, return_mask=True)
    assert after.all()


def test_without_mask_only_the_border_differs_from_a_convolution():
    module, x = PartialConv(3, 4), torch.randn(2, 3, 6, 7)
    y, plain = module(x), F.conv2d(x, module.weight, module.bias, padding=1)
    torch.testing.assert_close(y[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])
    corner = F.conv2d(x, module.weight, padding=1)[..., 0, 0] * 9 / 4 + module.bias
    torch.testing.assert_close(y[..., 0, 0], corner)
    torch.testing.assert_close(module(x, torch.ones(2, 1, 6, 7)), y)


def test_a_masked_call_leaves_no_trace():
    """The reference answers the second call with the ratio of the first."""
    module, x = PartialConv(3, 4), torch.randn(1, 3, 9, 11)
    expected = module(x)
    module(x, disc())
    assert torch.equal(module(x), expected)


def test_holes_are_zero_not_nan_in_half_precision():
    """1e-8 is 0 in float16: the reference then computes 9 / 0 * 0."""
    module, x = PartialConv(3, 4).half(), torch.randn(1, 3, 9, 11).half()
    y = module(x, disc().half())
    assert y.dtype == torch.float16 and y.isfinite().all() and (y[..., 4, 5] == 0).all()
    with torch.autocast("cpu", torch.float16):
        assert torch.isfinite(module.float()(x.float(), disc())).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "error::torch.jit.TracerWarning")
def test_onnx_with_the_mask_as_second_input():
    module, file = Both(3, 4).eval(), io.BytesIO()
    axes = {name: {0: "n", 2: "h", 3: "w"} for name in ("x", "mask")}
    inputs = (torch.randn(2, 3, 8, 8), torch.ones(2, 1, 8, 8))
    torch.onnx.export(
        module, inputs, file, dynamo=False, opset_version=18, input_names=["x", "mask"], dynamic_axes=axes
    )
    session = onnxruntime.InferenceSession(file.getvalue())
    x, mask = torch.randn(1, 3, 9, 11), disc()
    for exported, eager in zip(session.run(None, {"x": x.numpy(), "mask": mask.numpy()}), module(x, mask), strict=True):
        torch.testing.assert_close(torch.from_numpy(exported), eager.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 0, "c2": 8}, "must be at least 1, got c1=0, c2=8, s=1"),
        ({"c1": 8, "c2": 8, "s": 0}, "got c1=8, c2=8, s=0"),
        ({"c1": 8, "c2": 8, "k": 4}, "k must be odd and positive, got 4"),
        ({"c1": 8, "c2": 12, "g": 3}, r"g=3 must divide c1=8 and c2=12; use g from \[1, 2, 4\]"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        PartialConv(**arguments)


@pytest.mark.parametrize("shape", [(1, 3, 6, 7), (1, 1, 6, 6), (2, 1, 6, 7)])
def test_mask_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"mask must have shape \(1, 1, 6, 7\), got"):
        PartialConv(3, 4)(torch.zeros(1, 3, 6, 7), torch.ones(shape))
