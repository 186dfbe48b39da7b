"""Norm and activation in one pass equal torch's two, move the running statistics alike, and stand back for hooks."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug import BLOCKS
from yoloplug.blocks.parts.norms import normalised as norms
from yoloplug.blocks.parts.norms.normalised import Chain, normalised
from yoloplug.native import library
from yoloplug.native.normalise import Act, batch_normalise, group_normalise

ACTS: dict[Act, Callable[[Tensor], Tensor]] = {"": lambda y: y, "relu": F.relu, "silu": F.silu}
LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels on the smallest maps too."""
    if not library.available():
        pytest.skip(str(library.status()))
    monkeypatch.setattr(norms, "LEAST", 1)


def by_kernel(x: Tensor, gain: Tensor, shift: Tensor, groups: int, act: Act) -> Tensor:
    if groups:
        return group_normalise(x, gain, shift, groups, 1e-5, act)
    return batch_normalise(x, gain, shift, 1e-5, act)[0]


def by_torch(x: Tensor, gain: Tensor, shift: Tensor, groups: int, act: Act) -> Tensor:
    if groups:
        return ACTS[act](F.group_norm(x, groups, gain, shift, 1e-5))
    return ACTS[act](F.batch_norm(x, None, None, gain, shift, True, 0.0, 1e-5))


def with_gradients(operation: Callable[..., Tensor], inputs: list[Tensor], *settings: object) -> list[Tensor]:
    inputs = [x.detach().requires_grad_() for x in inputs]
    y = operation(*inputs, *settings)
    cotangent = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, inputs, cotangent)]


SIZES = [
    *(((2, 6, 5, 7), groups) for groups in (0, 1, 2, 6)),
    *(((3, 26, 9, 11), groups) for groups in (0, 2, 13)),
    *(((2, 64, 8, 8), groups) for groups in (0, 4, 64)),
    *(((1, 33, 3, 1), groups) for groups in (0, 1, 11)),
    *(((2, 48, 33, 47), groups) for groups in (0, 3)),
    ((2, 1, 1, 1), 0),
]


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("shape", "groups"), SIZES)
def test_equals_torch_in_float64(
    shape: tuple[int, ...], groups: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As near as torch's own float32, both with a mean far from 0."""
    monkeypatch.setattr("yoloplug.native.normalise.workers", lambda items, operations: max(1, min(items, threads)))
    inputs = [3 * torch.randn(shape) + 5, torch.randn(shape[1]), torch.randn(shape[1])]
    for act, layout in itertools.product(ACTS, LAYOUTS):
        given = [inputs[0].contiguous(memory_format=layout), *inputs[1:]]
        exact = with_gradients(by_torch, [x.double() for x in given], groups, act)
        theirs, ours = with_gradients(by_torch, given, groups, act), with_gradients(by_kernel, given, groups, act)
        assert ours[0].stride() == given[0].stride() or shape[1] == 1
        for value, other, expected in zip(ours, theirs, exact, strict=True):
            scale = float(expected.abs().max()) + 1e-3
            assert (value - expected).abs().max() <= 3 * (other - expected).abs().max() + 5e-6 * scale + 5e-6, (
                act,
                layout,
            )


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("groups", [0, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_are_the_derivatives(groups: int, act: Act, layout: torch.memory_format) -> None:
    x = torch.randn(2, 6, 3, 2).double().contiguous(memory_format=layout)
    inputs = [x.requires_grad_(), *(torch.randn(6).double().requires_grad_() for _ in range(2))]
    assert torch.autograd.gradcheck(lambda *given: by_kernel(*given, groups, act), inputs)
    assert torch.autograd.gradgradcheck(lambda *given: by_kernel(*given, groups, act), inputs, fast_mode=True)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_small_deviation_beside_a_large_mean_is_not_lost(layout: torch.memory_format) -> None:
    x = (1000 + 0.01 * torch.randn(4, 16, 20, 20)).contiguous(memory_format=layout)
    _, mean, variance = batch_normalise(x, torch.ones(16), torch.zeros(16), 0.0)
    torch.testing.assert_close(mean, x.double().mean((0, 2, 3)).float())
    torch.testing.assert_close(variance, x.double().var((0, 2, 3), unbiased=False).float(), rtol=1e-3, atol=0)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_nan_and_infinity_stay_in_their_channel(bad: float, layout: torch.memory_format) -> None:
    x = torch.randn(2, 17, 5, 5).contiguous(memory_format=layout)
    x[1, 3, 2, 2] = bad
    for act in ACTS:
        y = by_kernel(x, torch.ones(17), torch.zeros(17), 0, act)
        assert y[:, 3].isnan().all() and y[:, [0, 1, 2, *range(4, 17)]].isfinite().all()


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_move_as_batch_norms(momentum: float | None) -> None:
    ours, theirs = (nn.BatchNorm2d(5, momentum=momentum) for _ in range(2))
    for _ in range(3):
        x = torch.randn(2, 5, 4, 3) + 2
        torch.testing.assert_close(normalised(ours, x, "relu"), theirs(x).relu())
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, msg=key)
    torch.testing.assert_close(normalised(ours.eval(), x), theirs.eval()(x))


@pytest.mark.usefixtures("everywhere")
def test_torch_normalises_alone_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A map in channels_last without an activation: torch's one pass takes .7 to .95 of the kernel's time."""
    kernel, calls = norms.batch_normalise, []
    monkeypatch.setattr(norms, "batch_normalise", lambda *given: calls.append(given[-1]) or kernel(*given))
    x = torch.randn(2, 8, 6, 6)
    for layout in LAYOUTS:
        for act, function in ACTS.items():
            ours, theirs = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
            y = normalised(ours, x.contiguous(memory_format=layout), act)
            torch.testing.assert_close(y, function(theirs(x)))
            torch.testing.assert_close(ours.running_var, theirs.running_var)
    assert calls == ["", "relu", "silu", "relu", "silu"]


@pytest.mark.usefixtures("everywhere")
def test_who_watches_a_norm_or_activation_sees_it_called() -> None:
    chain, seen = Chain(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU()), []
    x = torch.randn(2, 4, 6, 6)
    plain = chain(x)
    for position in (1, 2):
        handle = chain[position].register_forward_hook(lambda module, given, y: seen.append(type(module)))
        torch.testing.assert_close(chain(x), plain)
        handle.remove()
    assert seen == [nn.BatchNorm2d, nn.ReLU]


def test_one_value_a_channel_is_refused_as_by_torch(everywhere: None) -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        normalised(nn.BatchNorm2d(4), torch.randn(1, 4, 1, 1))


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_blocks_train_the_same_with_and_without(
    name: str, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    block = BLOCKS[name].cls(*[32] * (2 if BLOCKS[name].kind == "conv" else 1)).to(memory_format=layout)
    if not any(isinstance(module, nn.BatchNorm2d | nn.GroupNorm) for module in block.modules()):
        return
    x, results = torch.randn(2, 32, 9, 10).contiguous(memory_format=layout), []
    for native in ("1", "0"):
        monkeypatch.setenv("YOLOPLUG_NATIVE", native)
        own = copy.deepcopy(block)
        y = own(x)
        y.square().mean().backward()
        gradients = [p.grad for p in own.parameters() if p.grad is not None]
        results.append([y.detach(), *gradients, *(b for b in own.buffers() if b.is_floating_point())])
    for ours, theirs in zip(*results, strict=True):
        far = 0.02 if name == "SCConv" else 1e-4  # its gate flips within rounding of its threshold
        assert (ours - theirs).norm() <= far * theirs.norm() + 1e-5
