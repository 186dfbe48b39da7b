"""DBB equals the recorded tensors of the Diverse Branch Block's code, and its recorded fused kernel."""

from __future__ import annotations

import io

import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks import DBB


class Activated(DBB):
    """The published block may end in a nonlinearity, which the hosts add here."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


@pytest.mark.parametrize(
    ("name", "module"),
    [("dbb_k3", DBB(16, 12)), ("dbb_k5_int8", DBB(16, 12, 5, internal=8)), ("dbb_k3_relu", Activated(16, 16))],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


@pytest.mark.parametrize(
    ("name", "options"), [("dbb_k3", {}), ("dbb_k5_int8", {"k": 5, "internal": 8}), ("dbb_k3_relu", {"c2": 16})]
)
def test_fused_kernel_is_the_references(golden, name, options):
    record, module = golden(name), DBB(**{"c1": 16, "c2": 12} | options).double()
    module.load_state_dict(record.state())
    conv = module.to_conv()
    torch.testing.assert_close(conv.weight, record["fused/weight"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(conv.bias, record["fused/bias"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"g": 4},
        {"g": 4, "internal": 32, "s": 2},
        {"g": 16},
        {"g": 16, "s": 2, "k": 5},
        {"g": 16, "internal": 16},
        {"k": 1},
        {"k": 7, "s": 2},
    ],
)
def test_one_convolution_with_any_options(randomise_norms, options):
    module = DBB(16, 16, **options).double().eval()
    randomise_norms(module)
    torch.nn.init.normal_(module.dbb_1x1_kxk[0].weight, std=0.1)
    x = torch.randn(2, 16, 9, 12, dtype=torch.float64)
    torch.testing.assert_close(module.to_conv()(x), module(x), rtol=1e-10, atol=1e-10)


def test_chains_see_zeros_around_the_image_not_around_their_norm(randomise_norms):
    """The average branch is the average of the normalised 1x1 map of an image padded with zeros."""
    module = DBB(4, 6).double().eval()
    randomise_norms(module)
    x = torch.randn(1, 4, 5, 7, dtype=torch.float64)
    conv, norm = module.dbb_avg.conv, module.dbb_avg.bn.bn
    expected = module.dbb_avg.avgbn(F.avg_pool2d(norm(conv(F.pad(x, [1] * 4))), 3, 1))
    torch.testing.assert_close(module.dbb_avg(x), expected)


def test_padded_values_come_from_the_running_statistics_in_training(randomise_norms):
    """Of this step already, and without gradient to the norm's gain and bias, as in the reference."""
    module = DBB(4, 4)
    randomise_norms(module)
    layer = module.dbb_avg.bn.train()
    y = layer(torch.randn(2, 4, 5, 6))
    bn = layer.bn
    corner = bn.bias - bn.running_mean * bn.weight / (bn.running_var + bn.eps).sqrt()
    torch.testing.assert_close(y[:, :, 0, 0], corner.expand(2, 4))
    assert torch.equal(y[0, :, 0, 0], y[1, :, -1, -1])
    y[:, :, 0].sum().backward()
    assert not bn.weight.grad.any()


def test_depthwise_form_has_no_pointwise_branches():
    module = DBB(8, 8, g=8)
    assert module.dbb_1x1 is None and [name for name, _ in module.dbb_avg.named_children()] == ["avg", "avgbn"]
    assert module.dbb_1x1_kxk.conv1.out_channels == 16


def test_identity_start():
    """At first the last branch is x itself, normalised, before its k x k."""
    module = DBB(8, 8).eval()
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(module.dbb_1x1_kxk.idconv1(x), x)
    assert "dbb_1x1_kxk.idconv1.identity" not in module.state_dict()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_train_form_exports_without_scatter():
    file = io.BytesIO()
    torch.onnx.export(DBB(8, 8).eval(), (torch.randn(1, 8, 6, 7),), file, dynamo=False, opset_version=18)
    kinds = {node.op_type for node in onnx.load_from_string(file.getvalue()).graph.node}
    assert "Conv" in kinds and not any(kind.startswith("Scatter") for kind in kinds)


def test_trains_at_batch_one():
    module = DBB(8, 12, s=2).train()
    module(torch.randn(1, 8, 7, 9)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in module.modules()) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d": 2}, "DBB: d=2: its average branch has no dilated form; use d=1, or ACBlock or DOConv, which dilate"),
        ({"k": 2}, "k must be odd and positive, got 2; use 3"),
        ({"g": 5}, r"DBB: g=5 must divide c1=16 and c2=8; use g from \[1, 2, 4, 8\]"),
        ({"g": 8}, "DBB: g=c2=8 is the depthwise form, which needs c1=c2, got c1=16; use a smaller g"),
        ({"g": 4, "internal": 10}, "DBB: internal=10 must be a positive multiple of g=4; use 8"),
        ({"internal": 0}, "DBB: internal=0 must be a positive multiple of g=1; use 1"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        DBB(16, 8, **options)
