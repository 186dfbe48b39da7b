"""gnConv equals HorNet's recorded tensors and a loop written from the paper's formula."""

from __future__ import annotations

import io

import onnxruntime
import pytest
import torch

from yoloplug.blocks import GlobalLocalFilter, LayerNorm2d, gnConv
from yoloplug.cost.flops import count_flops, count_parameters
from yoloplug.registry import BLOCKS


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("gnconv_dw7_o3", gnConv(16, order=3)),
        ("gnconv_dw7_o2", gnConv(16, order=2)),
        ("gnconv_gf_o3_exact", gnConv(16, order=3, filter="global_local", h=12, w=8)),
        ("gnconv_gf_o3_interp", gnConv(16, order=3, filter="global_local", h=14, w=8)),
        ("globallocalfilter", GlobalLocalFilter(16, h=9, w=5)),
        ("hornet_layernorm_cf", LayerNorm2d(16)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


@pytest.mark.parametrize("name", ["gnconv_gf_o3_exact", "gnconv_gf_o3_interp"])
def test_float32_filter_equals_unmodified_reference(golden, name):
    record = golden(name)
    module = gnConv(16, order=3, filter="global_local", h=12 if name.endswith("exact") else 14, w=8)
    module.load_state_dict(record.state())
    y, recorded = module(record["x"].float()), record["y_fft32"]
    assert (y - recorded).abs().max() <= 1e-6 * recorded.abs().max()


@pytest.mark.parametrize("name", ["gnconv_gf_o3_exact", "gnconv_gf_o3_interp"])
def test_filter_by_matrices_equals_reference(golden, monkeypatch, name):
    """What an ONNX file computes: the Fourier transform as real matrix products."""
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    monkeypatch.delattr(torch.fft, "rfft2")
    golden(name).check(gnConv(16, order=3, filter="global_local", h=12 if name.endswith("exact") else 14, w=8))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_global_filter_in_onnx_serves_sizes_it_was_not_exported_at():
    module, file = gnConv(16, order=3, filter="global_local").eval(), io.BytesIO()
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    x = torch.randn(2, 16, 12, 17)
    torch.onnx.export(module, (x,), file, dynamo=False, opset_version=18, input_names=["x"], dynamic_axes=axes)
    session = onnxruntime.InferenceSession(file.getvalue())
    for other in (x, torch.randn(1, 16, 9, 20)):
        (y,) = session.run(None, {"x": other.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), module(other).detach(), rtol=1e-4, atol=1e-6)


def test_order_two_is_the_papers_formula():
    """y = proj_out(g1 * W1(g0 * p0)), written pixel by pixel: order counts the gates."""
    torch.manual_seed(0)
    module = gnConv(8, order=2, s=0.5).double()
    x = torch.randn(1, 8, 5, 6, dtype=torch.float64)
    projected = module.proj_in(x)[0]
    padded = torch.nn.functional.pad(projected[4:], (3, 3, 3, 3))
    expected = torch.empty(8, 5, 6, dtype=torch.float64)
    for row in range(5):
        for column in range(6):
            window = padded[:, row : row + 7, column : column + 7]
            seen = 0.5 * ((module.dwconv.weight[:, 0] * window).sum((1, 2)) + module.dwconv.bias)
            p = projected[:4, row, column] * seen[:4]
            p = (module.pws[0].weight[:, :, 0, 0] @ p + module.pws[0].bias) * seen[4:]
            expected[:, row, column] = module.proj_out.weight[:, :, 0, 0] @ p + module.proj_out.bias
    torch.testing.assert_close(module(x)[0], expected)


@pytest.mark.parametrize("filter", ["dw7", "global_local"])
@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_every_order_and_filter_is_the_recursion(order, filter):
    """p <- W(p) * gate, `order` times, each gate twice as wide as the one before."""
    torch.manual_seed(0)
    module = gnConv(32, order=order, filter=filter).double()
    x = torch.randn(1, 32, 7, 9, dtype=torch.float64, requires_grad=True)
    projected = module.proj_in(x)
    narrowest = 32 // 2 ** (order - 1)
    p, gates = projected[:, :narrowest], module.dwconv(projected[:, narrowest:]) / 3
    start = 0
    for i in range(order):
        width = narrowest * 2**i
        p = (p if i == 0 else module.pws[i - 1](p)) * gates[:, start : start + width]
        start += width
    y = module(x)
    torch.testing.assert_close(y, module.proj_out(p))
    y.sum().backward()
    assert all(tensor.grad.isfinite().all() and tensor.grad.any() for tensor in (x, *module.parameters()))


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_cost_formulas_hold_for_every_order(order):
    row, module = BLOCKS["gnConv"], gnConv(64, order=order)
    names = {"c": 64, "order": order, "P": 7 * 9}
    assert eval(row.params, names) == pytest.approx(count_parameters(module))
    assert eval(row.macs, names) == pytest.approx(count_flops(module, torch.randn(1, 64, 7, 9)).flops / 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_global_filter_in_low_precision(dtype):
    """The transform has no bfloat16 kernel: it runs in float32, under autocast and in a narrow model alike."""
    module, x = gnConv(16, order=3, filter="global_local"), torch.randn(2, 16, 9, 11)
    y = module(x)
    with torch.autocast("cpu", dtype):
        mixed = module(x)
    narrow = module.to(dtype)(x.to(dtype))
    assert narrow.dtype == dtype
    for value in (mixed, narrow):
        assert (value.float() - y).norm() <= 0.05 * y.norm()


def test_global_half_sees_the_whole_map():
    filter = GlobalLocalFilter(4, h=9, w=5).double()
    x = torch.randn(1, 4, 9, 9, dtype=torch.float64, requires_grad=True)
    filter(x)[0, 1, 0, 0].backward()
    assert (x.grad[0, :, 8, 8] != 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 24}, r"c=24 is not divisible by 2\*\*\(order-1\)=16; use order <= 4"),
        ({"c": 7, "order": 2}, r"c=7 .*; use order <= 1"),
        ({"c": 16, "filter": "global_local"}, r"c=16 is not divisible by 2\*\*order=32; use order <= 4"),
        ({"c": 7, "order": 1, "filter": "global_local"}, "use an even c"),
        ({"c": 0}, "c=0"),
        ({"c": 16, "order": 0}, "order must be at least 1, got 0"),
        ({"c": 16, "filter": "dw5"}, r"filter must be one of \('dw7', 'global_local'\), got 'dw5'"),
        ({"c": 64, "order": 3, "filter": "global_local", "h": 0}, "h, w must be at least 1, got h=0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        gnConv(**arguments)


def test_odd_filter_width_is_refused():
    with pytest.raises(ValueError, match=r"c must be even .* got c=5"):
        GlobalLocalFilter(5)
