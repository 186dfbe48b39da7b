"""SelfCalConv equals SCNet's recorded tensors, and keeps its rule on maps smaller than a cell."""

from __future__ import annotations

import io

import onnxruntime
import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import SelfCalConv


@pytest.mark.parametrize(
    ("name", "module"),
    [("scnet_scconv", SelfCalConv(16, 16)), ("scnet_scconv_d2g2", SelfCalConv(16, 16, r=2, d=2, groups=2))],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (3, 9), (4, 4), (7, 9)])
def test_small_maps_have_at_least_one_cell_of_the_pixels_there_are(size):
    module = SelfCalConv(4, 6).eval()
    x = torch.randn(2, 4, *size)
    rows, columns = (max(1, n // 4) for n in size)
    cells = torch.empty(2, 4, rows, columns)
    for row in range(rows):
        for column in range(columns):
            cells[:, :, row, column] = x[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].mean((2, 3))
    calm = F.interpolate(module.k2[2](module.k2[1](cells)), size=size)
    torch.testing.assert_close(module(x), module.k4(module.k3(x) * torch.sigmoid(x + calm)))


def test_one_cell_trains_at_batch_one():
    module = SelfCalConv(4, 4).train()
    module(torch.randn(1, 4, 4, 4)).sum().backward()
    assert module.k2[1].weight.grad.isfinite().all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_takes_the_same_cells_where_onnxruntimes_resize_would_not():
    """114 pixels of 28 cells: P3 of a 912-pixel image."""
    module, file = SelfCalConv(3, 3).eval(), io.BytesIO()
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    torch.onnx.export(
        module, (torch.randn(1, 3, 8, 8),), file, dynamo=False, opset_version=18, input_names=["x"], dynamic_axes=axes
    )
    session = onnxruntime.InferenceSession(file.getvalue())
    for size in ((114, 171), (3, 2), (1, 5)):
        x = torch.randn(2, 3, *size)
        (y,) = session.run(None, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), module(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 16, "c2": 24, "groups": 16}, r"groups=16 must divide c1=16 and c2=24; use groups from \[1, 2, 4, 8\]"),
        ({"c1": 16, "c2": 16, "r": 0}, "at least 1, got .*r=0"),
        ({"c1": 16, "c2": 16, "k": 2}, "k must be odd and positive, got 2; use 3"),
        ({"c1": 16, "c2": 16, "d": 0}, "dilation.* got 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        SelfCalConv(**arguments)
