"""Kernels never stand where operations are recorded, transformed or in other types; there torch's are seen."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.fx import symbolic_trace
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from yoloplug.blocks import Involution, local_filter
from yoloplug.native import library, use


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The kernels that ran."""
    names: list[str] = []
    call = library.call
    monkeypatch.setattr(library, "call", lambda name, *rest: (names.append(name), call(name, *rest))[1])
    yield names


@pytest.fixture
def block() -> nn.Module:
    return Involution(16, k=3).eval()


X = torch.linspace(-1, 1, 16 * 5 * 6).reshape(1, 16, 5, 6)


def test_runs_on_plain_tensors(block: nn.Module, calls: list[str]) -> None:
    block(X)
    assert calls == ["local_filter_forward"]


class _Seen(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return func(*args, **(kwargs or {}))


def traced(block: nn.Module) -> Tensor:
    return torch.jit.trace(block, X, check_trace=False)(X)


def exported(block: nn.Module) -> Tensor:
    return torch.export.export(block, (X,)).module()(X)


def compiled(block: nn.Module) -> Tensor:
    return torch.compile(block, backend="eager")(X)


def compiled_by_aot(block: nn.Module) -> Tensor:
    return torch.compile(block, backend="aot_eager")(X)


def counted(block: nn.Module) -> Tensor:
    with FlopCounterMode(display=False):
        return block(X)


def dispatched(block: nn.Module) -> Tensor:
    with _Seen():
        return block(X)


def vmapped(block: nn.Module) -> Tensor:
    with torch.no_grad():
        return torch.vmap(block)(X[None])[0]


def in_double(block: nn.Module) -> Tensor:
    return block.double()(X.double())


def forward_derivative(block: nn.Module) -> Tensor:
    with torch.no_grad():
        return torch.func.jvp(block, (X,), (torch.ones_like(X),))[0]


def switched_off(block: nn.Module) -> Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLOPLUG_NATIVE", "0")
        return block(X)


WAYS = [
    traced,
    exported,
    compiled,
    compiled_by_aot,
    counted,
    dispatched,
    vmapped,
    in_double,
    forward_derivative,
    switched_off,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_torch_computes(way: Callable[[nn.Module], Tensor], block: nn.Module, calls: list[str]) -> None:
    expected = block(X)
    calls.clear()
    y = way(block)
    assert not calls
    torch.testing.assert_close(y.float(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Constant folding")
def test_an_exported_file_has_torch_operations_only(block: nn.Module, calls: list[str]) -> None:
    torch.onnx.export(block, (X,), io.BytesIO(), dynamo=False, opset_version=18)
    assert not calls


def test_other_tensors_are_left_to_torch() -> None:
    plain = torch.ones(2, 2)
    assert use.applies(plain, plain.bfloat16(), None, nn.Parameter(plain))
    meta, sparse, subclass = plain.to("meta"), plain.to_sparse(), plain.as_subclass(type("Own", (Tensor,), {}))
    complex_view = torch.complex(plain, plain).conj().imag  # its sign is a flag, not in memory
    for other in (meta, sparse, subclass, complex_view, plain[:0], plain.half(), plain.double(), plain.long()):
        assert not use.applies(plain, other)
    graph = symbolic_trace(nn.ReLU()).graph
    assert not use.applies(next(iter(graph.nodes)))  # type: ignore[arg-type]


def test_threads_follow_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert [use.workers(items, 10**9) for items in (1, 3, 100)] == [1, 3, 4]
    assert use.workers(100, 1000) == 1, "starting threads would cost more"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the workers of a DataLoader: threads of the parent do not live in them."""
    monkeypatch.setattr("yoloplug.native.local_filter.workers", lambda items, operations: min(items, 3))
    x, filters = torch.randn(2, 4, 20, 6), torch.randn(2, 9, 20, 6)
    expected = local_filter(x, filters, 3)
    child = os.fork()
    if not child:
        os._exit(0 if torch.equal(local_filter(x, filters, 3), expected) else 1)
    for _ in range(600):
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the child waits for threads that it does not have")
    assert code == 0


def test_an_error_in_a_worker_is_not_lost() -> None:
    with pytest.raises(AttributeError):
        library.call("no_such_kernel", 3, 2, [], [])
