"""CorrectedBatchNorm2d: inference equals the batches from step one, whatever happens to the model in between."""

import copy
import io
import pickle

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.folding.batch_norm import bn_affine
from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d, CorrectedSyncBatchNorm2d

SMALL = 1e-3
"""Deviation of SCConv's output: its variance, 1e-6, is what nn.BatchNorm2d needs 450 batches to find."""


def batch(seed: int = 0) -> Tensor:
    return SMALL * (torch.randn(16, 4, 16, 16, generator=torch.Generator().manual_seed(seed)) + 2)


def norm(batches: int = 0, dtype: torch.dtype = torch.float32) -> CorrectedBatchNorm2d:
    module = CorrectedBatchNorm2d(4, eps=1e-10, momentum=0.03).to(dtype)
    for seed in range(batches):
        module(batch(seed).to(dtype))
    return module


def gap(module: nn.Module, x: Tensor) -> float:
    """Largest difference between the module in training and in inference."""
    with torch.no_grad():
        trained = copy.deepcopy(module).train()(x)
        return float((copy.deepcopy(module).eval()(x) - trained).abs().max())


@pytest.mark.parametrize("batches", [1, 2, 20])
def test_inference_equals_training_from_the_first_batch_on(batches: int) -> None:
    module, x = norm(batches), batch()
    assert gap(module, x) < (0.02 if batches == 1 else 0.2)
    mean, var = module.statistics()
    seen = [batch(seed) for seed in range(batches)]
    torch.testing.assert_close(mean, torch.stack([b.mean((0, 2, 3)) for b in seen]).mean(0), rtol=0.02, atol=0)
    torch.testing.assert_close(
        var, torch.stack([b.transpose(0, 1).flatten(1).var(1) for b in seen]).mean(0), rtol=0.03, atol=0
    )


def test_trains_as_nn_batch_norm_and_ends_with_its_statistics() -> None:
    ours, stock = CorrectedBatchNorm2d(4), nn.BatchNorm2d(4)
    for seed in range(200):
        x = batch(seed) / SMALL
        assert torch.equal(ours(x), stock(x))
    torch.testing.assert_close(ours.eval()(x), stock.eval()(x))


def test_before_the_first_batch_it_is_a_fresh_stock_layer() -> None:
    x = batch()
    torch.testing.assert_close(norm().eval()(x), nn.BatchNorm2d(4, eps=1e-10).eval()(x))
    reset = norm(3)
    reset.reset_running_stats()
    assert torch.equal(reset.eval()(x), norm().eval()(x))


def test_cumulative_average_and_black_batches() -> None:
    """momentum=None averages all batches alike (re-estimated statistics); a constant batch is no division by zero."""
    module = norm()
    module.momentum = None
    for seed in range(5):
        module(batch(seed))
    expected = torch.stack([batch(seed).mean((0, 2, 3)) for seed in range(5)]).mean(0)
    torch.testing.assert_close(module.statistics()[0], expected)
    assert norm()(torch.zeros(1, 4, 8, 8)).isfinite().all()


@pytest.mark.parametrize("updates", [1, 2, 50])
def test_averaged_copies_infer_as_the_model(updates: int) -> None:
    """Ultralytics' ModelEMA, made before the first batch, averages floating-point state in place."""
    from ultralytics.utils.torch_utils import ModelEMA

    model = nn.Sequential(norm())
    ema = ModelEMA(model)
    for seed in range(updates):
        model(batch(seed))
        ema.update(model)
    assert gap(ema.ema, batch()) < 0.2


def test_half_precision_keeps_small_variances_and_comes_back() -> None:
    """Ultralytics saves checkpoints in float16, whose numbers near 1e-6 have five bits."""
    module, x = norm(3), batch()
    before = module.statistics()
    halved = copy.deepcopy(module).half().float()
    for value, expected in zip(halved.statistics(), before, strict=True):
        assert torch.equal(value, expected)
    narrow = copy.deepcopy(module).bfloat16().eval()(x.bfloat16())
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), module.eval()(x), rtol=0.02, atol=0.05)
    assert norm(1, torch.float64).statistics()[1].dtype == torch.float64


def test_resumes_and_reads_states_and_pickles_from_before_it_had_settled() -> None:
    module, x = norm(3), batch()
    resumed = norm()
    resumed.load_state_dict(pickle.loads(pickle.dumps(module.state_dict())))
    resumed(batch(9)), module(batch(9))
    assert torch.equal(resumed.eval()(x), module.eval()(x))
    stock = nn.BatchNorm2d(4, eps=1e-10)
    for seed in range(300):
        stock(batch(seed))
    ours = norm()
    ours.load_state_dict(stock.state_dict())
    torch.testing.assert_close(ours.eval()(x), stock.eval()(x))
    old = norm(1)
    old.load_state_dict(stock.state_dict())
    del old._buffers["settled"]
    torch.testing.assert_close(pickle.loads(pickle.dumps(old)).eval()(x), stock.eval()(x))


def test_frozen_statistics_stay() -> None:
    module = norm(2)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    module.eval()(batch(7))
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_folds_exports_and_compiles_after_one_batch() -> None:
    module, x = norm(1).eval(), batch()
    expected = module(x)
    scale, shift = bn_affine(module)
    torch.testing.assert_close(x * scale[:, None, None] + shift[:, None, None], expected)
    torch.testing.assert_close(torch.export.export(module, (x,)).module()(x), expected)
    file = io.BytesIO()
    torch.onnx.export(module, (x,), file, dynamo=False, input_names=["x"])
    (y,) = onnxruntime.InferenceSession(file.getvalue()).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(y), expected, rtol=1e-4, atol=1e-4)
    eager, compiled = norm(), norm()
    step = torch.compile(compiled, backend="aot_eager", fullgraph=True)
    for seed in range(3):
        torch.testing.assert_close(step(batch(seed)), eager(batch(seed)))
    for key, value in eager.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[key], value)


def test_under_autocast_the_statistics_are_exact() -> None:
    module = norm()
    with torch.autocast("cpu", torch.bfloat16):
        module(batch())
    assert gap(module, batch()) < 0.02


@pytest.mark.parametrize("batches", [0, 3])
def test_converted_to_synchronised_norms_the_correction_stays(batches: int) -> None:
    """torch's own conversion (Lightning's sync_batchnorm, too); in one process a synchronised norm is a plain one."""
    model, x = nn.Sequential(norm(batches), nn.BatchNorm2d(4)), batch()
    plain, parameters = copy.deepcopy(model), list(model.parameters())
    group = object()
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model, group)
    assert [type(m) for m in converted] == [CorrectedSyncBatchNorm2d, nn.SyncBatchNorm]
    assert converted[0].process_group is group and (converted[0].eps, converted[0].momentum) == (1e-10, 0.03)
    assert all(a is b for a, b in zip(converted.parameters(), parameters, strict=True))  # the optimiser's
    assert torch.equal(converted.eval()(x), plain.eval()(x))
    for seed in range(3):
        torch.testing.assert_close(converted.train()(batch(seed)), plain.train()(batch(seed)))
    assert gap(converted, x) < 0.2
    plain.load_state_dict(converted.state_dict())
    assert torch.equal(converted.eval()(x), plain.eval()(x))


def test_a_norm_alone_is_converted_and_converted_again() -> None:
    once = nn.SyncBatchNorm.convert_sync_batchnorm(norm(1))
    again = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(once), process_group=(group := object()))[0]
    assert type(once) is type(again) is CorrectedSyncBatchNorm2d and again.process_group is group
    assert torch.equal(again.eval()(batch()), once.eval()(batch()))
