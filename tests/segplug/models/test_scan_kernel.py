"""The scan's C kernel equals torch's operations: numbers, gradients, types, threads, what is not a number."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from segplug.models.scsegamba.orders import scan_orders
from segplug.models.scsegamba.scan import scan_paths, selective_scan
from yoloplug.native import library
from yoloplug.native.selective_scan import selective_scan as by_kernel

# images, orders, steps, features, states: blocks of 16 features and chunks of 32 steps, whole and begun
SHAPES = [(2, 3, 37, 5, 4), (1, 4, 70, 40, 19), (1, 4, 64, 32, 16), (2, 1, 1, 16, 1)]


def inputs(n: int, k: int, length: int, e: int, s: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    shapes = ((n, k, length, e), (n, length, e), (e, s), (n, k, length, s), (n, length, s), (e,))
    u, delta, a, b, c, d = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    return [x.to(dtype) for x in (u, F.softplus(delta), -a.exp(), b, c, d)]


def with_gradients(scan, given: list[Tensor]) -> list[Tensor]:  # type: ignore[no-untyped-def]
    given = [x.detach().requires_grad_() for x in given]
    y = scan(*given)
    weight = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape)
    return [y.detach(), *torch.autograd.grad((y * weight.to(y.dtype)).sum(), given)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("threads", [1, 3])
def test_equals_torch_in_float64(shape: tuple[int, ...], threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yoloplug.native.selective_scan.workers", lambda items, operations: min(items, threads))
    given = inputs(*shape)
    exact = with_gradients(lambda *x: selective_scan(*x, parallel=False), [x.double() for x in given])
    for value, expected in zip(with_gradients(selective_scan, given), exact, strict=True):
        assert value.dtype == torch.float32
        assert (value - expected).abs().max() <= 2e-6 * expected.abs().max()


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_source_for_double_equals_torch(shape: tuple[int, ...]) -> None:
    given = inputs(*shape, dtype=torch.float64)
    expected = with_gradients(lambda *x: selective_scan(*x, parallel=False), given)
    for value, other in zip(with_gradients(by_kernel, given), expected, strict=True):
        torch.testing.assert_close(value, other, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("in_double")
def test_gradients_are_the_derivatives() -> None:
    given = [x.requires_grad_() for x in inputs(1, 2, 5, 3, 2, dtype=torch.float64)]
    assert torch.autograd.gradcheck(by_kernel, given)


def test_paths_over_a_map_equal_copies_of_it() -> None:
    """The same numbers and gradients without the maps of each path: `scan_paths` reads and adds pixels in place."""
    orders = scan_orders(5, 7)
    _, *others = inputs(2, 4, 35, 20, 16)

    def paths(x: Tensor, *others: Tensor) -> Tensor:
        return scan_paths(x, *others, orders, as_published=False)

    def copies(x: Tensor, *others: Tensor) -> Tensor:
        y = selective_scan(x[:, orders.order], *others, parallel=False)
        return sum((y[:, k, inverse] for k, inverse in enumerate(orders.inverse)), torch.zeros(()))

    given = [torch.randn(2, 35, 20), *others]
    exact = with_gradients(copies, [x.double() for x in given])
    for value, expected in zip(with_gradients(paths, given), exact, strict=True):
        assert (value - expected).abs().max() <= 2e-6 * expected.abs().max()


def test_bfloat16_is_computed_in_float32() -> None:
    given = inputs(1, 2, 40, 16, 4, dtype=torch.bfloat16)
    values = with_gradients(selective_scan, given)
    wide = with_gradients(selective_scan, [x.float() for x in given])
    for value, expected in zip(values, wide, strict=True):
        assert value.dtype == torch.bfloat16
        torch.testing.assert_close(value.float(), expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


def test_any_strides_and_a_subset_of_gradients() -> None:
    given = inputs(2, 2, 9, 6, 3)
    strided = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in given]
    assert not strided[0].is_contiguous()
    torch.testing.assert_close(selective_scan(*strided), selective_scan(*given), rtol=0, atol=0)
    given[1].requires_grad_()
    selective_scan(*given).sum().backward()
    assert [x.grad is None for x in given] == [True, False, True, True, True, True]


def test_what_is_not_finite_shows_where_torch_shows_it() -> None:
    for value in (torch.nan, torch.inf):
        given = inputs(1, 2, 12, 20, 3)
        given[0][0, 1, 5, 3] = value
        y, expected = selective_scan(*given), selective_scan(*given, parallel=False)
        assert torch.equal(y.isfinite(), expected.isfinite()) and not y[0, 1, 5, 3].isfinite()
    given = inputs(1, 1, 6, 4, 2)
    given[1][0, 2, 1] = torch.inf  # an endless step: the state is forgotten, and what comes in is endless
    assert torch.equal(selective_scan(*given).isnan(), selective_scan(*given, parallel=False).isnan())


def test_decays_over_the_whole_range_of_float32() -> None:
    """exp of every size: from what vanishes to what overflows."""
    steps = torch.linspace(-104, 88, 4096)
    ones = torch.ones(1, 1, 2, 4096)
    a, b = torch.ones(4096, 1), torch.ones(1, 1, 2, 1)
    delta = torch.stack([torch.ones_like(steps), steps])[None]
    y = selective_scan(ones, delta, a, b, torch.ones(1, 2, 1), torch.zeros(4096))[0, 0, 1]
    grown = steps.double().exp()
    assert ((y - (grown + steps)).abs() <= 3e-7 * (grown + steps.abs())).all()


def test_no_scan_for_empty_maps_and_other_types() -> None:
    for shape in ((0, 2, 4, 3), (2, 2, 0, 3)):
        n, k, length, e = shape
        given = [torch.ones(x) for x in (shape, (n, length, e), (e, 2), (n, k, length, 2), (n, length, 2), (e,))]
        if length:
            assert selective_scan(*given).shape == shape
    double = inputs(1, 1, 3, 2, 2, dtype=torch.float64)
    assert selective_scan(*double).dtype == torch.float64


def test_places_beyond_two_to_the_31st(untouched: Callable[..., Tensor]) -> None:
    """The last image of a map of 2^31 numbers and more."""
    e, length, s = 16, 64, 1
    n = 2**31 // (length * e) + 1
    u, y, delta, rows = *(untouched(n, 1, length, e) for _ in range(3)), torch.arange(length)
    b, c, a, d = untouched(n, 1, length, s), untouched(n, length, s), -torch.ones(s, e), torch.ones(e)
    for x in (u, delta, b, c):
        x[-1] = torch.rand(x[-1].shape)
    y[-1] = 0
    scratch, kernel = torch.empty(2 * e), library._loaded()[0]
    tensors = [u, delta, a, b, c, d, rows, rows, None, scratch, y]
    pointers = (ctypes.c_void_p * 11)(*(None if x is None else x.data_ptr() for x in tensors))
    sizes = (ctypes.c_int64 * 8)(1, length, e, s, length, length, 32, n)
    kernel.selective_scan_forward(*(ctypes.c_int64(i) for i in (n - 1, n, 0)), pointers, sizes)
    last = [x[-1:] for x in (u, delta[:, 0])] + [a.t(), b[-1:], c[-1:], d]
    torch.testing.assert_close(y[-1:], selective_scan(*last, parallel=False))
