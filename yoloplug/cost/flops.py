"""What a model costs: parameters, FLOPs with every uncounted operation named, latency.

FLOPs = 2 x MACs. Convolutions, matrix products and attention are counted by torch's `FlopCounterMode`; it knows nothing
of deformable convolution, Fourier transforms and grid sampling, so their formulas are here. Bilinear sampling is 4 MACs
a value. Element-wise arithmetic, normalisation, pooling and resizing count 0, as everywhere in the field, but their
names come back with the number, so nothing is silently free.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torchvision  # noqa: F401  (registers torchvision::deform_conv2d)
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry


class Flops(NamedTuple):
    """`uncounted`: operations with arithmetic that added 0, as `namespace.name` -> number of calls."""

    flops: int
    uncounted: dict[str, int]


def count_parameters(model: nn.Module) -> int:
    """Number of parameter values, shared ones once, frozen ones included."""
    return sum(p.numel() for p in model.parameters())


def count_flops(model: nn.Module, *inputs: Any) -> Flops:
    """FLOPs of one forward pass in eval mode, for the whole batch of `inputs`. Training mode is restored."""
    recorder = _Recorder()
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    with eval_mode(model), _plain_attention(), torch.no_grad(), recorder, counter:
        model(*inputs)
    counted = {*flop_registry, *_FORMULAS}
    uncounted = {
        str(op): calls
        for op, calls in sorted(recorder.calls.items(), key=lambda item: str(item[0]))
        if op not in counted and str(op) not in _NO_ARITHMETIC
    }
    return Flops(int(counter.get_total_flops()), uncounted)


class _Recorder(TorchDispatchMode):
    """Counts the calls of every operation that does more than give another view of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Any] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not func.is_view:
            self.calls[func.overloadpacket] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Every submodule in eval mode inside the block, each as it was afterwards."""
    training = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, was in training:
            module.training = was


@contextmanager
def _plain_attention() -> Iterator[None]:
    """nn.MultiheadAttention as matrix products; its fused inference kernel has no formula."""
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


def _deform_conv2d(
    x: list[int], weight: list[int], offset: list[int], mask: list[int], bias: list[int], *args: Any, **_: Any
) -> int:
    """Convolution plus a bilinear sample for every tap of every input channel; one product more with a mask."""
    n, (c2, c1_per_group, kh, kw) = x[0], weight
    positions = n * math.prod(offset[2:])
    with_mask = args[8]  # after strides, paddings, dilations (two each), groups and offset groups
    taps = kh * kw * x[1] * positions
    return 2 * positions * c2 * c1_per_group * kh * kw + taps * (8 + bool(with_mask))


def _grid_sampler_2d(x: list[int], grid: list[int], mode: int = 0, *_: Any, **__: Any) -> int:
    """mode 0 bilinear (4 MACs), 1 nearest (none), 2 bicubic (16 MACs + 4)."""
    return (8, 0, 40)[mode] * x[0] * x[1] * grid[1] * grid[2]


def _grid_sampler_3d(x: list[int], grid: list[int], mode: int = 0, *_: Any, **__: Any) -> int:
    return (16, 0)[mode] * x[0] * x[1] * math.prod(grid[1:4])


def _embedding_bag(table: list[int], indices: list[int], *_: Any, **__: Any) -> int:
    """One MAC for each value of each row added: four a value where bilinear sampling is written so."""
    return 2 * math.prod(indices) * table[1]


def _fft(per_point: float) -> Callable[..., int]:
    """per_point * size * log2(size) of each transform: 5 for complex, half for real data (Cooley-Tukey)."""

    def formula(x: list[int], dim: list[int], *_: Any, out_shape: list[int], **__: Any) -> int:
        full = x if math.prod(x) >= math.prod(out_shape) else out_shape  # the side that is not cut to half
        size = math.prod(full[d] for d in dim)
        return round(per_point * math.prod(full) * math.log2(size)) if size > 1 else 0

    return formula


_aten = torch.ops.aten
_FORMULAS: dict[Any, Callable[..., int]] = {
    torch.ops.torchvision.deform_conv2d: _deform_conv2d,
    _aten.grid_sampler_2d: _grid_sampler_2d,
    _aten.grid_sampler_3d: _grid_sampler_3d,
    _aten._embedding_bag: _embedding_bag,
    _aten._embedding_bag_forward_only: _embedding_bag,
    _aten._fft_c2c: _fft(5.0),
    _aten._fft_r2c: _fft(2.5),
    _aten._fft_c2r: _fft(2.5),
}

# Allocation, copies and gathers: bytes move, nothing is computed.
_NO_ARITHMETIC = {
    f"aten.{name}"
    for name in (
        "_to_copy _unsafe_index _unsafe_view arange cat clone constant_pad_nd copy_ embedding empty empty_like "
        "empty_strided eye fill fill_ flip full full_like gather index index_put index_select lift_fresh "
        "lift_fresh_copy linspace masked_fill native_dropout new_empty new_empty_strided new_full new_ones new_zeros "
        "ones ones_like pixel_shuffle pixel_unshuffle repeat repeat_interleave roll scalar_tensor scatter "
        "scatter_ select_scatter slice_scatter stack tril triu where zero_ zeros zeros_like "
        "_local_scalar_dense _reshape_copy channel_shuffle native_channel_shuffle view_as_real_copy _pin_memory"
    ).split()
}
