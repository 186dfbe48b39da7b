"""What a block computes on its way and a reader wants to see: gates, mixtures of kernels, sampling positions.

A block hands such a value through `watched` where it uses it, so that what is shown is what was computed. It costs a
function call; nothing is kept unless somebody watches (`yoloplug.look`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch import Tensor, nn

Value = TypeVar("Value", bound=Tensor | tuple[Tensor, ...])

Watcher = Callable[[nn.Module, str, Tensor | tuple[Tensor, ...]], None]
"""Called with the block, the value's name and the value, in the order of computation."""

_watchers: list[Watcher] = []


def watched(block: nn.Module, name: str, value: Value) -> Value:
    """`value` itself, shown to whoever watches. A tuple holds values of one kind, such as gnConv's gates by order."""
    for watcher in _watchers:
        watcher(block, name, value)
    return value


def is_watched() -> bool:
    """Whether somebody wants to see the values, so that they have to be there."""
    return bool(_watchers)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Every `watched` value of forward passes inside goes to `watcher`; one thread at a time."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)
