"""Involution equals the authors' recorded tensors; strides, widths and constraints."""

from __future__ import annotations

import io

import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import Involution, local_filter
from yoloplug.blocks.parts.folding.batch_norm import fold_norms


@pytest.mark.usefixtures("either_way")
def test_equals_reference(golden):
    golden("involution_k7").check(Involution(32))


def test_parameter_counts_are_the_published_ones():
    counts = [sum(p.numel() for p in Involution(64, k).parameters()) for k in (3, 7)]
    assert counts == [1668, 4388]


def test_equals_the_papers_formula_by_unfold():
    """The authors' naive form on an even map at stride 2; odd maps agree with it once padded by repetition."""
    module = Involution(32, k=5, s=2).double().eval()
    x = torch.randn(2, 32, 8, 10, dtype=torch.float64)
    hidden = module.conv1(F.avg_pool2d(x, 2)).relu()
    kernels = module.conv2(hidden).reshape(2, 2, 1, 25, 4, 5)
    windows = F.unfold(x, 5, padding=2, stride=2).reshape(2, 2, 16, 25, 4, 5)
    torch.testing.assert_close(module(x), (windows * kernels).sum(3).reshape(2, 32, 4, 5))


@pytest.mark.parametrize("size", [(7, 9), (8, 9), (1, 1)])
def test_stride_two_rounds_odd_sizes_up(size):
    """The last window of an odd size averages the pixels it has."""
    module, x = Involution(16, k=3, s=2).eval(), torch.randn(1, 16, *size)
    filters = module.conv2(module.conv1(F.avg_pool2d(x, 2, ceil_mode=True)).relu())
    torch.testing.assert_close(module(x), local_filter(x, filters, 3, 2))
    assert module(x).shape == (1, 16, -(-size[0] // 2), -(-size[1] // 2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Constant folding")
def test_stride_two_exports_with_dynamic_sizes():
    module, file = Involution(16, k=3, s=2).eval(), io.BytesIO()
    x, axes = torch.randn(2, 16, 8, 11), {"x": {0: "n", 2: "h", 3: "w"}}
    torch.onnx.export(module, (x,), file, dynamo=False, opset_version=18, input_names=["x"], dynamic_axes=axes)
    session = onnxruntime.InferenceSession(file.getvalue())
    for other in (x, torch.randn(1, 16, 7, 9), torch.randn(3, 16, 13, 6)):
        (y,) = session.run(None, {"x": other.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), module(other).detach(), rtol=1e-4, atol=1e-5)


def test_fusing_folds_the_norm(randomise_norms):
    module = Involution(16).double().eval()
    randomise_norms(module)
    x = torch.randn(1, 16, 7, 9, dtype=torch.float64)
    expected = module(x)
    fold_norms(module)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in module.modules())
    torch.testing.assert_close(module(x), expected)


def test_starts_with_the_variance_of_its_input():
    torch.manual_seed(0)
    assert 0.1 < float(Involution(64)(torch.randn(4, 64, 24, 24)).detach().var()) < 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"c": 24},
            r"group_channels=16 must divide c=24; use .* from \[1, 2, 3, 4, 6, 8, 12, 24\]",
        ),
        ({"c": 16, "group_channels": 0}, "group_channels=0"),
        ({"c": 16, "k": 4}, "k must be odd and positive, got 4; use 5"),
        ({"c": 16, "s": 0}, "s must be at least 1, got 0"),
        ({"c": 16, "reduction": 32}, "reduction must lie between 1 and c=16, got 32"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Involution(**arguments)


def test_narrow_widths_work_with_smaller_groups():
    assert Involution(24, group_channels=8)(torch.randn(1, 24, 5, 7)).shape == (1, 24, 5, 7)
