"""SCSegamba's parts equal the published code's recorded tensors; its scan equals a loop over time."""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segplug.errors import SegplugError
from segplug.models.decoders.dysample import DySample
from segplug.models.scsegamba import SCSegamba
from segplug.models.scsegamba.mfs import MFS
from segplug.models.scsegamba.orders import scan_orders
from segplug.models.scsegamba.savss import PAF
from segplug.models.scsegamba.scan import _by_kernel, selective_scan
from segplug.models.scsegamba.ss2d import SS2D

GOLDEN = Path(__file__).parents[2] / "golden"


def recorded(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"scsegamba_{name}.npz", allow_pickle=False) as stored:
        arrays = {key: torch.from_numpy(stored[key]) for key in stored.files if stored[key].dtype.kind in "fi"}
    return {key: value.double() if value.is_floating_point() else value for key, value in arrays.items()}


def loaded(module: nn.Module, record: dict[str, Tensor]) -> nn.Module:
    module.double().eval().load_state_dict({key[3:]: value for key, value in record.items() if key.startswith("sd/")})
    return module


def assert_equal(value: Tensor, expected: Tensor, tolerance: float = 1e-9) -> None:
    assert value.shape == expected.shape
    assert (value - expected).abs().max() <= tolerance * expected.abs().max()


def test_paf_and_mfs_equal_the_reference() -> None:
    paf, mfs = recorded("paf"), recorded("mfs")
    assert_equal(loaded(PAF(32, 16), paf)(paf["base"], paf["guidance"]), paf["y"])
    assert_equal(loaded(MFS(), mfs)(mfs["c4"], mfs["c3"], mfs["c2"], mfs["c1"]), mfs["y"])


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_dysample_equals_the_reference(scale: int) -> None:
    """To float32 accuracy, which these records have; those inside MFS hold to 1e-9."""
    record = recorded(f"dysample_x{scale}")
    assert_equal(loaded(DySample(8, scale), record)(record["x"]), record["y"], 1e-6)


def test_dysample_finds_its_places_in_bfloat16() -> None:
    """Of 300 columns bfloat16 knows every second one; the map's values are rounded, not its places."""
    ramp = torch.linspace(-1, 1, 300).expand(1, 8, 8, 300)
    module = DySample(8, 2).bfloat16()
    expected = F.interpolate(ramp, scale_factor=2, mode="bilinear")
    assert (module(ramp.bfloat16()).float() - expected)[..., 2:-2].abs().max() < 2 / 256


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("name", "size"), [("even", (4, 6)), ("odd", (5, 4))])
def test_ss2d_equals_the_reference_as_published_and_corrected(name: str, size: tuple[int, int]) -> None:
    record = recorded(f"ss2d_{name}")
    record["sd/A_log"] = torch.arange(1, 5, dtype=torch.float64).log().repeat(64, 1)  # recorded as its float32
    published, ours = loaded(SS2D(32, 4, as_published=True), record), loaded(SS2D(32, 4), record)
    assert_equal(published(record["x"], size), record["y_as_published"])
    assert_equal(ours(record["x"], size), record["y_fixed_order3"])
    orders = scan_orders(*size, as_published=True)
    for k in range(4):
        assert torch.equal(orders.order[k], record[f"order{k + 1}"])
        assert torch.equal(orders.inverse[k], record[f"inverse{k + 1}_published"])
        assert torch.equal(orders.direction[k], record[f"direction{k + 1}"])


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (7, 3), (6, 6)])
def test_every_order_visits_every_pixel_once_and_inverse_undoes_it(size: tuple[int, int]) -> None:
    orders = scan_orders(*size)
    for order, inverse in zip(orders.order, orders.inverse, strict=True):
        assert torch.equal(order[inverse], torch.arange(size[0] * size[1]))
    assert orders.direction.shape == orders.order.shape


def scan_inputs(length: int) -> Iterator[Tensor]:
    """u, delta, a, b, c, d of two images, three orders, five features, four states, in float64."""
    for shape in ((2, 3, length, 5), (2, length, 5), (5, 4), (2, 3, length, 4), (2, length, 4), (5,)):
        yield torch.randn(shape, dtype=torch.float64)


def loop(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The recurrence, one step after the other."""
    state, outputs = u.new_zeros(*u.shape[:2], u.shape[3], a.shape[1]), []
    for t in range(u.shape[2]):
        decay = torch.exp(delta[:, None, t, :, None] * a)
        state = decay * state + (delta[:, None, t] * u[:, :, t])[..., None] * b[:, :, t, None, :]
        outputs.append((state * c[:, None, t, None, :]).sum(-1))
    return torch.stack(outputs, dim=2) + u * d


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(("length", "chunk"), [(37, 0), (37, 1), (37, 8), (37, 50), (1, 0), (64, 0)])
def test_chunked_scan_and_its_gradients_equal_the_sequential_scan(length: int, chunk: int, parallel: bool) -> None:
    u, delta, a, b, c, d = scan_inputs(length)
    inputs = [u, F.softplus(delta), -a.exp(), b, c, d]
    results = []
    for scan in (loop, lambda *x: selective_scan(*x, chunk=chunk, parallel=parallel)):
        given = [x.detach().clone().requires_grad_() for x in inputs]
        y = scan(*given)
        y.sin().sum().backward()
        results.append((y, *(x.grad for x in given)))
    for expected, value in zip(*results, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(
            selective_scan(*inputs, chunk=chunk, parallel=parallel), loop(*inputs), rtol=1e-10, atol=1e-12
        )


def test_kernel_gets_mamba_ssms_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with selective_scan_fn's documented shapes: u, delta (B, D, L); A (D, N); B, C (B, N, L)."""

    def selective_scan_fn(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        sequences = [x.transpose(1, 2) for x in (u, delta, b, c)]
        u, delta, b, c = sequences
        ys = [
            loop(u[i : i + 1, None], delta[i : i + 1], a, b[i : i + 1, None], c[i : i + 1], torch.zeros(5).double())
            for i in range(len(u))
        ]
        return torch.cat(ys)[:, 0].transpose(1, 2)

    module = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
    module.selective_scan_fn = selective_scan_fn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    u, delta, a, b, c, d = scan_inputs(11)
    delta, a = F.softplus(delta), -a.exp()
    torch.testing.assert_close(_by_kernel(u, delta, a, b, c) + u * d, loop(u, delta, a, b, c, d))


def test_state_dict_is_the_published_one() -> None:
    published = {}
    for line in (GOLDEN / "scsegamba_state_dict.txt").read_text(encoding="utf-8").splitlines()[1:]:
        name, _, shape = line.partition(" ")
        sizes = tuple(int(size) for size in shape.split("x")) if shape else ()
        published |= {name.replace("{0..3}", str(layer)): sizes for layer in range(4 if "{" in name else 1)}
    model = SCSegamba()
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == published
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_051_399


def test_trains_on_any_size() -> None:
    model = SCSegamba().train()
    x = torch.rand(2, 3, 36, 52)
    logits = model(x)
    assert logits.shape == (2, 1, 36, 52)
    F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)).backward()
    unused = {name for name, p in model.named_parameters() if p.grad is None}
    assert unused and all(name.startswith(("MFS.GBC_8", "MFS.GN_C")) for name in unused)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_published_checkpoint_loads_with_its_arguments_and_its_bug(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = SCSegamba().state_dict()
    args = argparse.Namespace(lr=5e-4, device=torch.device("cpu"))
    torch.save({"model": weights, "epoch": 49, "args": args}, tmp_path / "checkpoint_best.pth")
    model = SCSegamba.load_published(tmp_path / "checkpoint_best.pth")
    assert not model.training and model.backbone.layers[3].SAVSS_2D.as_published
    assert all(tensor.equal(weights[name]) for name, tensor in model.state_dict().items())
    assert argparse.Namespace not in torch.serialization.get_safe_globals()
    torch.save({"model": {"conv.weight": torch.ones(1)}}, tmp_path / "other.pth")
    with pytest.raises(SegplugError, match="not SCSegamba's weights"):
        SCSegamba.load_published(tmp_path / "other.pth")
    torch.save({"model": weights, "code": tmp_path}, tmp_path / "code.pth")
    with pytest.raises(SegplugError, match="not a readable weights file"):
        SCSegamba.load_published(tmp_path / "code.pth")


def test_refuses_other_inputs_and_outputs() -> None:
    with pytest.raises(SegplugError, match="takes RGB images and has one class, got in_channels=1, classes=1"):
        SCSegamba(in_channels=1)


def test_trains_after_it_predicted_in_the_same_process() -> None:
    scan_orders.cache_clear()
    model, image = SCSegamba(), torch.rand(1, 3, 24, 40)
    with torch.inference_mode():
        model.eval()(image)
    model.train()(image).sum().backward()
    assert all(not index.is_inference() for index in scan_orders(3, 5))
