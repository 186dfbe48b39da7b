"""When a kernel may stand in for torch operations, and how tensors are handed to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from yoloplug.native import library

_TYPES = (torch.float32, torch.bfloat16)


def _keys(x: Tensor) -> int:
    """Torch's set of what its dispatcher asks about a tensor: device, layout, views by flag, wrappers."""
    return int(torch._C._dispatch_keys(x).raw_repr())


def _plain_keys() -> frozenset[int]:
    with torch.inference_mode():
        inference = _keys(torch.empty(0, device="cpu"))
    return frozenset((inference, _keys(torch.empty(0, device="cpu"))))


_PLAIN = _plain_keys()


def applies(*tensors: Tensor | None) -> bool:
    """Whether kernels compute on these: plain float32 or bfloat16 tensors on a CPU, none of them empty.

    Never where operations are recorded or transformed: tracing, compiling, exporting, a dispatch mode such as a FLOP
    counter, functorch, forward-mode derivatives. There torch's own operations must be seen.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.jit.is_scripting():
        return False
    given = [tensor for tensor in tensors if tensor is not None]
    return plain(*given) and all(x.dtype in _TYPES for x in given) and library.available()


def plain(*tensors: Tensor) -> bool:
    """Whether each is numbers in a CPU's memory, and only that: no mode or wrapper wants to see what is done to it."""
    return (
        all(type(x) in (Tensor, nn.Parameter) and x.numel() > 0 and _keys(x) in _PLAIN for x in tensors)
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and forward_ad._current_level < 0
    )


def hooked(module: nn.Module) -> bool:
    """Whether somebody wants to see the module called."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or torch.nn.modules.module._has_any_global_hook()
    )


def real(x: Tensor) -> torch.dtype:
    """The type in which kernels compute: float32, or float64 with the library of the gradient checks."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def by_torch(
    operation: Callable[..., Tensor], tensors: Sequence[Tensor | None], gradient: Tensor
) -> list[Tensor | None] | None:
    """Gradients of `operation(*tensors)` by torch where the backward pass is itself recorded or mapped over, else None.

    A kernel's gradients have no derivative; torch's own do.
    """
    if not torch.is_grad_enabled() and plain(gradient):
        return None
    with torch.enable_grad():
        wanted = [x for x in tensors if x is not None and x.requires_grad]
        y = operation(*tensors)
        found = torch.autograd.grad(y, wanted, gradient.to(y.dtype), create_graph=True, allow_unused=True)
    by_input = dict(zip(map(id, wanted), found, strict=True))
    return [None if x is None else by_input.get(id(x)) for x in tensors]


def workers(items: int, operations: int) -> int:
    """How many threads pay for `items` items of that many multiplications in all: torch's number at most."""
    return max(1, min(torch.get_num_threads(), items, operations // 500_000))


def launch(name: str, items: int, threads: int, tensors: Sequence[Tensor | None], sizes: Sequence[int]) -> None:
    """Call a kernel on contiguous tensors of its type."""
    library.call(name, items, threads, [None if x is None else x.data_ptr() for x in tensors], sizes)
