"""CondParamConv is, image by image, a plain convolution with the kernel that the formula writes."""

from __future__ import annotations

import io

import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from yoloplug.blocks import CondParamConv


def written_out(module: CondParamConv, x: Tensor, condition: Tensor) -> Tensor:
    """One image at a time, one input channel at a time, from the docstring's formula."""
    c2, depth, k, _ = module.kernel_shape
    per_group = c2 // module.g
    out = []
    for image, c in zip(x, condition, strict=True):
        z = F.silu(module.embed.weight @ c + module.embed.bias)
        kernel = torch.empty(c2, depth, k, k, dtype=x.dtype)
        for i in range(depth * module.g):
            rows = slice(i * module.weight.shape[1], (i + 1) * module.weight.shape[1])
            code = module.codes.weight[rows] @ z + module.codes.bias[rows]
            column = (module.weight @ code + module.kernel_bias).reshape(c2, k, k)
            outputs = slice(i // depth * per_group, (i // depth + 1) * per_group)
            kernel[outputs, i % depth] = column[outputs]
        bias = module.shifts.weight @ z + module.shifts.bias
        out.append(F.conv2d(image[None], kernel, bias, module.s, module.p, module.d, module.g))
    return torch.cat(out)


@pytest.mark.parametrize("options", [{}, {"s": 2}, {"k": 1}, {"k": 5, "d": 2, "g": 2}, {"g": 4, "s": 2, "rank": 3}])
def test_equals_the_formula_with_an_external_condition(measured, options):
    torch.manual_seed(0)
    module = CondParamConv(8, 12, c_condition=5, **options).double()
    torch.nn.init.normal_(module.kernel_bias, std=0.1)
    x, condition = torch.randn(3, 8, 7, 9, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    expected = written_out(module, x, condition)
    torch.testing.assert_close(module(x, condition), expected, rtol=1e-11, atol=1e-12)
    as_map = condition[:, :, None, None] + torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(module(x, as_map), expected, rtol=1e-11, atol=1e-12)
    error = (module(x, condition) - expected).abs().max() / expected.abs().max()
    measured("parity", "CondParamConv", "its formula, image by image", error)


def test_without_a_condition_the_input_is_the_condition():
    module, x = CondParamConv(8, 12).double(), torch.randn(2, 8, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(module(x), written_out(module, x, x.mean((2, 3))), rtol=1e-11, atol=1e-12)


def test_condition_steers_each_image_by_itself_and_learns():
    torch.manual_seed(0)
    module, x = CondParamConv(8, 8, c_condition=4), torch.randn(1, 8, 6, 6).expand(2, -1, -1, -1)
    condition = torch.randn(2, 4, requires_grad=True)
    y = module(x, condition)
    assert (y[0] - y[1]).abs().max() > 1e-3
    y.square().sum().backward()
    assert condition.grad is not None and condition.grad.abs().min() > 0


def test_starts_as_large_as_a_plain_convolution():
    torch.manual_seed(0)
    module, plain = CondParamConv(64, 64), torch.nn.Conv2d(64, 64, 3, padding=1)
    x = torch.randn(4, 64, 12, 12)
    assert 0.5 < module(x).var() / plain(x).var() < 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_inputs_in_onnx_at_other_batches_and_sizes():
    module, file = CondParamConv(8, 12, s=2, c_condition=4).eval(), io.BytesIO()
    x, condition = torch.randn(2, 8, 9, 12), torch.randn(2, 4, 5, 6)
    axes = {name: {0: "n", 2: name + "h", 3: name + "w"} for name in ("x", "condition")}
    torch.onnx.export(
        module, (x, condition), file, dynamo=False, opset_version=18, input_names=list(axes), dynamic_axes=axes
    )
    session = onnxruntime.InferenceSession(file.getvalue())
    for given in ((x, condition), (torch.randn(1, 8, 12, 7), torch.randn(1, 4, 3, 3))):
        (y,) = session.run(None, {name: value.numpy() for name, value in zip(axes, given, strict=True)})
        torch.testing.assert_close(torch.from_numpy(y), module(*given).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"g": 3}, r"CondParamConv: g=3 must divide c1=8 and c2=12; use g from \[1, 2, 4\]"),
        ({"k": 4}, "k must be odd and positive, got 4"),
        ({"c_condition": 0}, "must be at least 1, .*c_condition=0"),
        ({"rank": 0}, "must be at least 1, .*rank=0"),
        ({"embedding": 0}, "must be at least 1, .*embedding=0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        CondParamConv(8, 12, **arguments)


def test_refuses_a_condition_of_another_shape():
    module, x = CondParamConv(8, 12, c_condition=4), torch.randn(2, 8, 5, 5)
    for condition in (None, torch.randn(2, 3)):
        with pytest.raises(ValueError, match=r"c_condition=4, but the condition has (8|3) channels"):
            module(x, condition)
    with pytest.raises(ValueError, match=r"\(N, c\) or \(N, c, h, w\), got 3 dimensions"):
        module(x, torch.randn(2, 4, 1))
