"""CondConv and CondConvResidual equal timm, d-li14 and nibuiro as recorded; per-sample convolution is a loop."""

from __future__ import annotations

import io

import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yoloplug.blocks import CondConv, CondConvResidual, ExpertConv2d
from yoloplug.blocks.parts.experts.per_sample import conv2d_per_sample


@pytest.mark.parametrize(
    ("name", "module", "inputs"),
    [
        ("condconv_timm", ExpertConv2d(16, 12, bias=True), ("x", "routing")),
        ("condconv_timm_same_s2", ExpertConv2d(16, 12, s=2, experts=3, g=2, padding="same"), ("x", "routing")),
        ("condconv_dli14", CondConv(16, 12, bias=True), ("x",)),
        ("condconv_nibuiro", CondConv(16, 12, experts=3, bias="shared"), ("x",)),
        ("condconv_residual_timm", CondConvResidual(16, 16, act=nn.ReLU), ("x",)),
    ],
)
def test_equals_reference(golden, name, module, inputs):
    golden(name).check(module, *inputs)


@pytest.mark.parametrize("trace_form", [False, True])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(
    ("k", "s", "p", "d", "g"),
    [(3, 1, 1, 1, 1), (3, 2, 1, 1, 2), (1, 1, 0, 1, 1), (1, 2, 0, 1, 2), (5, 2, 4, 2, 4), (3, 3, 0, 1, 8)],
)
def test_per_sample_convolution_is_a_loop_over_samples(monkeypatch, trace_form, n, k, s, p, d, g):
    """Both forms, the grouped convolution and what a traced graph gets, in value and gradient, to 1e-12."""
    generator = torch.Generator().manual_seed(k * s + g)
    x = torch.randn(n, 8, 9, 12, dtype=torch.float64, generator=generator)
    weight = torch.randn(n, 16, 8 // g, k, k, dtype=torch.float64, generator=generator)
    bias = torch.randn(n, 16, dtype=torch.float64, generator=generator)
    leaves = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    loop = torch.cat([F.conv2d(x[i : i + 1], weight[i], bias[i], s, p, d, g) for i in range(n)])
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: trace_form)
    y = conv2d_per_sample(x, weight, tuple(weight.shape[1:]), bias, s, p, d, g)
    torch.testing.assert_close(y, loop, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(y.square().sum(), leaves),
        torch.autograd.grad(loop.square().sum(), leaves),
        rtol=1e-11,
        atol=1e-11,
    )


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_is_the_papers_sum_of_expert_outputs(padding):
    """sum_e r_e (W_e * x + b_e), each expert a plain convolution, by the own router and by routing given."""
    torch.manual_seed(0)
    module = CondConv(4, 6, 3, 2, experts=3, bias=True, padding=padding).double()
    nn.init.normal_(module.bias)
    x = torch.randn(2, 4, 8, 11, dtype=torch.float64)
    routing = torch.sigmoid(x.mean((2, 3)) @ module.routing_fn.weight.T + module.routing_fn.bias)
    padded = F.pad(x, (1, 1, 1, 1) if padding == "symmetric" else (1, 1, 0, 1))
    kernels = torch.stack([*module.kernels])
    outputs = [F.conv2d(padded, kernels[e], module.bias[e], 2) for e in range(3)]
    expected = sum(routing[:, e, None, None, None] * outputs[e] for e in range(3))
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(module(x, routing), expected)
    assert (module(x, 1 - routing) - expected).abs().max() > 0.1


@pytest.mark.parametrize(
    ("size", "k", "s", "d"), [((12, 15), 3, 2, 1), ((7, 9), 5, 3, 1), ((8, 8), 3, 1, 2), ((9, 6), 1, 2, 1)]
)
def test_same_padding_gives_ceil(size, k, s, d):
    module = ExpertConv2d(3, 5, k, s, experts=2, d=d, padding="same")
    y = module(torch.randn(2, 3, *size), torch.rand(2, 2))
    assert y.shape[2:] == tuple(-(-n // s) for n in size)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"k": 5, "s": 2, "padding": "same", "bias": True},
        {"k": 3, "s": 3, "padding": "same", "g": 2},
        {"k": 1, "s": 2, "bias": "shared"},
        {"k": 3, "d": 2, "g": 4},
    ],
)
def test_options_in_onnx_at_other_batches_and_sizes(options):
    torch.manual_seed(0)
    module, file = CondConv(8, 12, **options).eval(), io.BytesIO()
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    x = torch.randn(2, 8, 12, 15)
    torch.onnx.export(module, (x,), file, dynamo=False, opset_version=18, input_names=["x"], dynamic_axes=axes)
    session = onnxruntime.InferenceSession(file.getvalue())
    for other in (x, torch.randn(1, 8, 9, 20), torch.randn(3, 8, 7, 7)):
        (y,) = session.run(None, {"x": other.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), module(other).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True, "shared"])
def test_affine_folds_with_every_bias(bias):
    module = CondConv(4, 6, experts=3, bias=bias).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    x, (scale, shift) = torch.randn(2, 4, 5, 6, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    expected = module(x) * scale[:, None, None] + shift[:, None, None]
    module.fold_affine(scale, shift)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


def test_nibuiro_bias_is_not_mixed(golden):
    """Its recorded output needs the shared bias: the same numbers as expert biases give another output."""
    record = golden("condconv_nibuiro")
    state = CondConv.convert_reference(record.state())
    state["bias"] = state.pop("shared_bias").expand(3, -1)
    module = CondConv(16, 12, experts=3, bias=True).double()
    module.load_state_dict(state)
    assert (module(record["x"]) - record["y"]).abs().max() > 0.1


def test_residual_adds_x_only_where_shapes_allow():
    torch.manual_seed(0)
    for c2, s, residual in ((8, 1, True), (8, 2, False), (16, 1, False)):
        module, x = CondConvResidual(8, c2, s=s).eval(), torch.randn(1, 8, 7, 9)
        module.conv_pwl.draw(torch.Tensor.zero_)
        assert torch.equal(module(x), x) if residual else not module(x).any()


def test_residual_folds_its_norms_exactly(randomise_norms):
    module = CondConvResidual(8, 8).double().eval()
    randomise_norms(module)
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64)
    expected = module(x)
    module.fold_norms()
    module.fold_norms()
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 8, "c2": 12, "g": 3}, r"g=3 must divide c1=8 and c2=12; use g from \[1, 2, 4\]"),
        ({"c1": 8, "c2": 8, "k": 4}, "k must be odd and positive, got 4"),
        ({"c1": 8, "c2": 8, "experts": 0}, "experts must be at least 1, .*experts=0"),
        ({"c1": 8, "c2": 8, "s": 0}, "s=0"),
        ({"c1": 8, "c2": 8, "d": 0}, "d .*at least 1, got 0"),
        ({"c1": 8, "c2": 8, "bias": "mixed"}, r"bias must be one of \(False, True, 'shared'\), got 'mixed'"),
        ({"c1": 8, "c2": 8, "padding": "valid"}, r"padding must be one of \('symmetric', 'same'\), got 'valid'"),
        ({"c1": 8, "c2": 8, "s": 4, "padding": "same"}, r"needs d \* \(k - 1\) >= s - 1, got k=3, d=1, s=4"),
        ({"c1": 8, "c2": 8, "k": 0, "padding": "same"}, "k, d must be at least 1, got k=0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        CondConv(**arguments)


def test_residual_refuses_no_hidden_channel():
    with pytest.raises(ValueError, match=r"c1=3 with expand=0.2 leaves no hidden channel"):
        CondConvResidual(3, 3, expand=0.2)


@pytest.mark.parametrize("s, d, g", [(1, 1, 1), (2, 1, 2), (1, 2, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_large_map_in_channels_last_equals_the_same_in_nchw(s, d, g, bias):
    """A convolution an image against one of N groups: outputs and gradients."""
    block = CondConv(4, 6, s=s, d=d, g=g, bias=bias).double()
    x = torch.randn(2, 4, 17, 20, dtype=torch.float64)
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        seen = x.clone(memory_format=layout).requires_grad_()
        y = block(seen)
        assert y.is_contiguous(memory_format=layout)
        results.append([y, *torch.autograd.grad(y.sin().sum(), [seen, *block.parameters()])])
    for value, expected in zip(*results, strict=True):
        torch.testing.assert_close(value, expected)
