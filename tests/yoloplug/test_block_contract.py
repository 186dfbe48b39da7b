"""What every block in the catalogue keeps, whatever its mathematics; exceptions stand in one dict with reasons."""

from __future__ import annotations

import copy
import inspect
import io
import json
import math
import pickle
from pathlib import Path
from typing import get_args

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import yoloplug.blocks  # noqa: F401  (fills the registry)
from yoloplug.cost.flops import count_flops, count_parameters
from yoloplug.registry import BLOCKS

RECORDED = Path(__file__).parent / "recorded"
SIZE = (33, 47)
WIDTH = 16  # the narrowest that every block's defaults accept
NAMES = sorted(BLOCKS)

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("DDF", "affine"): "ends in a sum weighted by filters computed from the features",
    ("DynamicFilter", "affine"): "ends in a sum weighted by filters that channels share",
    ("Involution", "affine"): "ends in a sum weighted by filters that channels share",
    ("GBC", "affine"): "ends in ReLU and a sum: nothing linear to fold a BatchNorm into",
    ("GatedConv", "affine"): "ends in a product with a gate: a shift cannot pass through it",
    ("SCConv", "affine"): "ends in a product with attention computed from the features",
    ("SCConv", "tolerance"): "a value within rounding of the gate's threshold may flip, and its neighbours with it",
    ("TransposedConv", "upsamples"): "its stride is the factor by which the map grows",
}


def arguments(name: str, s: int = 1) -> dict[str, int]:
    return {"c1": WIDTH, "c2": WIDTH + 8, "k": 3, "s": s} if BLOCKS[name].kind == "conv" else {"c": WIDTH}


def out_size(name: str, s: int, size: tuple[int, int] = SIZE) -> tuple[int, int]:
    h, w = size
    return (h * s, w * s) if (name, "upsamples") in EXCEPTIONS else (-(-h // s), -(-w // s))


def build(name: str, s: int = 1) -> nn.Module:
    """The block as a user gets it, except that parameters near zero (offsets, layer scales) get visible values."""
    torch.manual_seed(0)
    module = BLOCKS[name].cls(*arguments(name, s).values())
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.abs().max() < 1e-3:
                parameter.normal_(std=0.1)
    return module


def image(n: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(n, WIDTH, *size, generator=torch.Generator().manual_seed(1))


def same(name: str, value: Tensor, expected: Tensor, tolerance: float = 1e-5) -> float:
    """Largest difference over the largest expected value; at most `tolerance`, and returned."""
    if (name, "tolerance") in EXCEPTIONS and value.dtype != torch.float64:
        tolerance = 0.02
    assert value.shape == expected.shape
    error = float((value - expected).detach().abs().max() / expected.detach().abs().max())
    assert error <= tolerance, f"differs by {error:.3g} of the largest value"
    return error


@pytest.mark.parametrize(
    ("name", "s"), [(name, s) for name in NAMES for s in ((1, 2) if BLOCKS[name].kind == "conv" else (1,))]
)
def test_shape_and_gradient_in_training_at_batch_one(name, s):
    module = build(name, s).train()
    x = image(1).requires_grad_()
    y = module(x)
    assert y.shape == (1, WIDTH if BLOCKS[name].kind == "keep" else WIDTH + 8, *out_size(name, s))
    y.square().sum().backward()
    for key, tensor in [("input", x), *module.named_parameters()]:
        assert tensor.grad is not None, f"{key} has no gradient"
        assert tensor.grad.isfinite().all() and tensor.grad.any(), f"gradient of {key} is zero or not finite"


@pytest.mark.parametrize("name", NAMES)
def test_cost_formulas_hold(name):
    """`params` and `macs` of the registry against what is counted, at a non-square odd size."""
    block, given = BLOCKS[name], arguments(name, 1)
    module = block.cls(*given.values()).eval()
    options = {p.name: p.default for p in inspect.signature(block.cls).parameters.values()}
    h, w = out_size(name, 1)
    names = {**options, **given, "H": SIZE[0], "W": SIZE[1], "P": h * w}
    names |= {f.__name__: f for f in (math.ceil, math.floor, math.log2, min, max)}
    assert eval(block.params, names) == pytest.approx(count_parameters(module), rel=0.01)
    assert eval(block.macs, names) == pytest.approx(count_flops(module, image(1)).flops / 2, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_construction_takes_no_data(name):
    """Works on the meta device (where YAML rows are tried first) and draws no random numbers there."""
    before = torch.get_rng_state()
    with torch.device("meta"):
        module = BLOCKS[name].cls(*arguments(name).values())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.is_meta for parameter in module.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_numbers_that_are_none_and_empty_widths_are_refused(name):
    """In the constructor, whoever calls it; never a model of NaN or a crash in forward."""
    for parameter in inspect.signature(BLOCKS[name].cls, eval_str=True).parameters.values():
        if parameter.name in ("c", "c1", "c2", "s") and parameter.annotation is int:
            wrong: tuple[float, ...] = (0, -1)
        elif float in (parameter.annotation, *get_args(parameter.annotation)):
            wrong = (math.nan, math.inf)
        else:
            continue
        for value in wrong:
            with pytest.raises(ValueError, match=str(value)):
                BLOCKS[name].cls(**arguments(name) | {parameter.name: value})


@pytest.mark.parametrize("name", NAMES)
def test_eval_output_is_independent_of_the_batch(name):
    module, x = build(name).eval(), image(3)
    with torch.no_grad():
        same(name, module(x)[1:2], module(x[1:2]))


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_reloads(name):
    """deepcopy before and after a forward, pickle as a checkpoint, state_dict strictly."""
    module, x = build(name).eval(), image()
    before = copy.deepcopy(module)
    expected = module(x)
    assert torch.equal(before(x), expected)
    fresh = build(name).eval()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
    fresh.load_state_dict(module.state_dict(), strict=True)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), fresh):
        assert torch.equal(other(x), expected)


@pytest.mark.parametrize("name", NAMES)
def test_memory_format_does_not_matter(name):
    module, x = build(name).eval(), image()
    with torch.no_grad():
        same(
            name,
            module.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last)),
            build(name).eval()(x),
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2])
def test_a_channels_last_model_stays_so(name, n):
    """Ultralytics trains on CUDA and predicts on x86 CPUs in channels_last: a map in another layout is copied there."""
    module = build(name).train().to(memory_format=torch.channels_last)
    x = image(n).to(memory_format=torch.channels_last)
    for y in (module(x), module.eval()(x)):
        assert y.is_contiguous(memory_format=torch.channels_last), y.stride()


@pytest.mark.parametrize("name", NAMES)
def test_precisions_agree(name):
    """float64 is computed as such; CPU autocast runs, trains, and strays by bfloat16's rounding only."""
    module, x = build(name).eval(), image()
    y = module(x)
    exact = copy.deepcopy(module).double()(x.double())
    assert exact.dtype == torch.float64
    same(name, y.double(), exact)
    for dtype, tolerance in ((torch.bfloat16, 0.03), (torch.float16, 0.005)):
        module.zero_grad()
        with torch.autocast("cpu", dtype):
            mixed = module(x)
            mixed.float().square().mean().backward()
        assert (mixed.float() - y).norm() <= tolerance * y.norm()
        assert all(parameter.grad.isfinite().all() for parameter in module.parameters() if parameter.requires_grad)
    narrow = copy.deepcopy(module).bfloat16()(x.bfloat16())
    assert narrow.dtype == torch.bfloat16
    assert (narrow.float() - y).norm() <= 0.05 * y.norm()


@pytest.mark.parametrize("name", [name for name in NAMES if BLOCKS[name].tail == "norm+act"])
def test_affine_folds_exactly(name):
    if (name, "affine") in EXCEPTIONS:
        assert not hasattr(BLOCKS[name].cls, "fold_affine")
        return
    module, x = build(name).eval().double(), image().double()
    expected = module(x)
    scale, shift = torch.randn(2, expected.shape[1], dtype=torch.float64)
    module.fold_affine(scale, shift)
    same(name, module(x), expected * scale[:, None, None] + shift[:, None, None], 1e-12)


@pytest.mark.filterwarnings("ignore:.*is deprecated. Please switch:FutureWarning")
@pytest.mark.parametrize("name", NAMES)
def test_graphs_equal_eager(name):
    """torch.export, torch.compile's graph capture, and a TorchScript trace at a size it has not seen."""
    module, x, other = build(name).eval(), image(), image(1, (20, 31))
    with torch.no_grad():
        same(name, torch.export.export(module, (x,)).module()(x), module(x))
        trace = torch.jit.trace(module, x)
        same(name, trace(other), module(other))
        assert "aten::addcmul" not in str(trace.inlined_graph)  # pnnx, the way to ncnn, knows none
        torch._dynamo.reset()
        same(name, torch.compile(module, backend="aot_eager", fullgraph=True)(x), module(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_compiled_training_step_equals_eager(name):
    """torch.compile as users call it: output and gradients of a training step, in float64 where both are exact."""
    torch._dynamo.reset()
    eager, x = build(name).double().train(), image().double()
    compiled = torch.compile(copy.deepcopy(eager))
    expected, value = eager(x), compiled(x)
    same(name, value, expected, 1e-10)
    cotangent = torch.randn_like(expected)
    for y in (expected, value):
        (y * cotangent).sum().backward()
    scale = max(float(p.grad.abs().max()) for p in eager.parameters() if p.grad is not None)
    for a, b in zip(compiled.parameters(), eager.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        if b.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-10 * scale)


@pytest.mark.parametrize("name", [name for name in NAMES if hasattr(BLOCKS[name].cls, "to_conv")])
@pytest.mark.parametrize("s", [1, 2])
def test_deploy_form_is_one_equal_convolution(name, s, randomise_norms):
    module = build(name, s).eval()
    randomise_norms(module)
    for tolerance, x in ((1e-5, image()), (1e-10, image().double())):
        module.to(x.dtype)
        conv = module.to_conv()
        assert type(conv) is nn.Conv2d and conv.weight.dtype == x.dtype
        same(name, conv(x), module(x), tolerance)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_onnx_equals_eager(name, measured):
    """The exporter that Ultralytics uses, at its default opset, batch and size dynamic."""
    module, file = nn.Sequential(build(name), ReadsSize()).eval(), io.BytesIO()
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    torch.onnx.export(
        module,
        (image(),),
        file,
        dynamo=False,
        opset_version=18,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes=axes,
    )
    measured("onnx", name, "eager", compare_onnx(name, file.getvalue(), module))


class ReadsSize(nn.Module):
    """Stands for Detect: a block that bakes the size it was exported at into the graph is found out behind it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], x.shape[2] * x.shape[3])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", NAMES)
def test_onnx_by_dynamo_equals_eager(name):
    module, file = build(name).eval(), io.BytesIO()
    sizes = ({0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")},)
    torch.onnx.export(module, (image(),), dynamo=True, opset_version=20, dynamic_shapes=sizes).save(file)
    compare_onnx(name, file.getvalue(), module)


def compare_onnx(name: str, file: bytes, module: nn.Module) -> float:
    """The largest relative error at sizes and batches that the export has and has not seen."""
    session, errors = onnxruntime.InferenceSession(file), []
    for x in (image(), image(1, (20, 31)), image(3, (9, 7))):
        (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        errors.append(same(name, torch.from_numpy(y), module(x).detach()))
    return max(errors)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_outputs(request, name):
    """Eight numbers of the block's float64 output; change them only on purpose, by `pytest --update-recorded`."""
    y = build(name).eval().double()(image().double()).detach().flatten()
    values = [float(value) for value in y[:: y.numel() // 8][:8]]
    file = RECORDED / f"{name}.json"
    if request.config.getoption("--update-recorded"):
        file.write_text(json.dumps(values) + "\n")
    assert values == pytest.approx(json.loads(file.read_text()), rel=1e-6, abs=1e-9)
