"""When a kernel may stand in for torch operations, and how tensors are handed to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from yoloplug.native import library

__all__ = ["applies", "launch", "plain", "workers"]

_TYPES = (torch.float32, torch.bfloat16)


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
    """Whether each is numbers in a CPU's memory, and only that."""
    return (
        all(
            type(x) in (Tensor, torch.nn.Parameter)
            and x.device.type == "cpu"
            and x.layout is torch.strided
            and x.numel() > 0
            and not x.is_neg()
            for x in tensors
        )
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and forward_ad._current_level < 0
    )


def workers(items: int, operations: int) -> int:
    """How many threads pay for `items` items of that many multiplications in all: torch's number at most."""
    return max(1, min(torch.get_num_threads(), items, operations // 500_000))


def launch(name: str, items: int, threads: int, tensors: Sequence[Tensor | None], sizes: Sequence[int]) -> None:
    """Call a kernel on contiguous tensors of its type."""
    library.call(name, items, threads, [None if x is None else x.data_ptr() for x in tensors], sizes)
