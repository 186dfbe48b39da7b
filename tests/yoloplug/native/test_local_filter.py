"""The local filter's kernels equal torch's operations in every form: windows, strides, gains, sizes, types, threads."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from yoloplug.blocks import local_filter
from yoloplug.native import library
from yoloplug.native.local_filter import _LocalFilter, _Run

WINDOWS = [(3, 1, 1), (7, 1, 1), (5, 2, 1), (3, 3, 2), (3, 1, 2), (1, 2, 1), (11, 1, 1)]
"""k, s, d"""
GROUPS = [(1, 3), (2, 20)]
"""groups, channels of one"""


def given(k: int, s: int, groups: int, channels: int, h: int, w: int, with_gains: bool) -> list[Tensor]:
    places = (-(-h // s), -(-w // s))
    x, filters = torch.randn(2, groups * channels, h, w), torch.randn(2, groups * k * k, *places)
    return [x, filters, *([torch.randn(2, groups * channels, k * k)] if with_gains else [])]


def with_gradients(inputs: list[Tensor], k: int, s: int, d: int, combine: str) -> list[Tensor]:
    inputs = [x.detach().requires_grad_() for x in inputs]
    y = local_filter(*inputs[:2], k, s, d, inputs[2] if len(inputs) > 2 else None, combine)  # type: ignore[arg-type]
    weight = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)
    return [y.detach(), *torch.autograd.grad((y * weight).sum(), inputs)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("combine", [None, "mul", "add"])
def test_equals_torch_in_float64(threads: int, combine: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yoloplug.native.local_filter.workers", lambda items, operations: min(items, threads))
    for (k, s, d), (groups, channels), size in product(WINDOWS, GROUPS, [(5, 6), (17, 33), (1, 1), (20, 16)]):
        inputs = given(k, s, groups, channels, *size, combine is not None)
        exact = with_gradients([x.double() for x in inputs], k, s, d, combine or "mul")
        for value, expected in zip(with_gradients(inputs, k, s, d, combine or "mul"), exact, strict=True):
            assert value.dtype == torch.float32
            error = (value - expected).abs().max() / expected.abs().max().clamp_min(1e-3)
            assert error <= 2e-6, (k, s, d, groups, channels, size)


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize(("s", "combine"), [(1, "mul"), (2, "add"), (2, None)])
def test_gradients_are_the_derivatives(s: int, combine: str | None) -> None:
    inputs = [x.double().requires_grad_() for x in given(3, s, 2, 2, 4, 3, combine is not None)]

    def filtered(x: Tensor, filters: Tensor, gains: Tensor | None = None) -> Tensor:
        return local_filter(x, filters, 3, s, 1, gains, combine or "mul")  # type: ignore[arg-type]

    assert "_LocalFilter" in str(filtered(*inputs).grad_fn)
    assert torch.autograd.gradcheck(filtered, inputs)
    assert torch.autograd.gradgradcheck(filtered, inputs, fast_mode=True)


def test_bfloat16_is_computed_in_float32() -> None:
    inputs = [x.bfloat16() for x in given(3, 1, 2, 8, 9, 17, True)]
    values, wide = (with_gradients(x, 3, 1, 1, "mul") for x in (inputs, [x.float() for x in inputs]))
    for value, expected in zip(values, wide, strict=True):
        assert value.dtype == torch.bfloat16
        torch.testing.assert_close(value.float(), expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


def test_layouts_are_kept_and_strides_do_not_matter() -> None:
    x, filters = given(3, 1, 1, 6, 7, 9, False)
    expected = local_filter(x, filters, 3)
    y = local_filter(x.contiguous(memory_format=torch.channels_last), filters, 3)
    assert y.is_contiguous(memory_format=torch.channels_last) and torch.equal(y, expected)
    strided = x.transpose(0, 3).contiguous().transpose(0, 3)
    y = local_filter(strided, filters.flip(1).flip(1), 3)
    assert y.is_contiguous() and torch.equal(y, expected)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("combine", [None, "mul", "add"])
def test_what_is_not_finite_reaches_the_same_places_as_in_torch(value: float, combine: str | None) -> None:
    """Its windows, nothing beside them: no zero of a border or of a begun vector is multiplied with it elsewhere."""
    for place in ((0, 0), (4, 18), (3, 7)):
        inputs = given(3, 1, 1, 4, 5, 19, combine is not None)
        inputs[0][0, 1, place[0], place[1]] = value
        values, expected = (
            with_gradients(x, 3, 1, 1, combine or "mul") for x in (inputs, [x.double() for x in inputs])
        )
        for a, b in zip(values, expected, strict=True):
            assert torch.equal(a.isfinite(), b.isfinite())


def test_only_the_gradients_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    call = library.call
    monkeypatch.setattr(library, "call", lambda name, *rest: (names.append(name), call(name, *rest))[1])
    for wanted in ((True, False, False), (False, True, False), (False, False, True), (False, False, False)):
        names.clear()
        inputs = [x.requires_grad_(w) for x, w in zip(given(3, 1, 1, 4, 5, 6, True), wanted, strict=True)]
        y = local_filter(*inputs[:2], 3, gains=inputs[2])
        if any(wanted):
            y.sum().backward()
        assert [x.grad is not None for x in inputs] == list(wanted)
        of_map, of_filters = ["local_filter_backward_map"], ["local_filter_backward_filters"]
        assert names == ["local_filter_forward", *of_map * wanted[0], *of_filters * (wanted[1] or wanted[2])]


def test_an_empty_batch_goes_to_torch() -> None:
    y = local_filter(torch.ones(0, 4, 5, 6), torch.ones(0, 9, 5, 6), 3)
    assert y.shape == (0, 4, 5, 6)


def test_places_beyond_two_to_the_31st(untouched: Callable[..., Tensor]) -> None:
    """The last image of a map of 2^31 numbers and more."""
    h, w, c = 16, 64, 32
    n = 2**31 // (c * h * w) + 1
    x, y, filters = untouched(n, c, h, w), untouched(n, c, h, w), untouched(n, 1, 9, h, w)
    x[-1], filters[-1] = torch.rand(c, h, w), torch.rand(9, h, w)
    run = _Run(x, filters, None, (3, 1, 1, "mul"), h)
    room, kernels = torch.empty(run.room), library._loaded()[0]
    pointers = (ctypes.c_void_p * 5)(x.data_ptr(), filters.data_ptr(), None, y.data_ptr(), room.data_ptr())
    sizes = (ctypes.c_int64 * len(run.sizes))(*run.sizes)
    first = run.items // n * (n - 1)
    kernels.local_filter_forward(*(ctypes.c_int64(i) for i in (first, run.items, 0)), pointers, sizes)
    torch.testing.assert_close(y[-1:], local_filter(x[-1:], filters[-1], 3))


def test_no_kernel_where_a_gradient_is_mapped_over() -> None:
    x, filters = (t.requires_grad_() for t in given(3, 1, 1, 2, 4, 5, False))
    y = local_filter(x, filters, 3)
    assert isinstance(y.grad_fn, _LocalFilter._backward_cls)  # type: ignore[attr-defined]
    many = torch.randn(3, *y.shape)
    (batched,) = torch.autograd.grad(y, [x], many, is_grads_batched=True, retain_graph=True)
    single = torch.stack([torch.autograd.grad(y, [x], one, retain_graph=True)[0] for one in many])
    torch.testing.assert_close(batched, single)
