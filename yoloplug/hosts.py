"""How a block sits in YOLO: as a conv-like row, or as the second convolution of the bottlenecks of C2f, C3 and C3k2.

A block kind `conv` takes width and stride itself; a block kind `keep` gets both from a stock `Conv` before it, which is
there only when the row changes them. After the block come BatchNorm and the YAML's activation, as in a stock `Conv`:
blocks such as SCConv shrink their output, gnConv and GBC grow it, and the norm hides that from the next layer.

The classes are made on first use from the registry, under the names that YAMLs and checkpoints carry:
`yoloplug.hosts.gnConv`, `yoloplug.hosts.C2f_gnConv`, `yoloplug.hosts.C3_gnConv`, `yoloplug.hosts.C3k2_gnConv`.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import torch
import ultralytics
from torch import Tensor, nn
from ultralytics.nn import modules as stock
from ultralytics.nn.modules.block import Bottleneck

import yoloplug.blocks  # noqa: F401  (fills the registry)
from yoloplug.registry import BLOCKS, Block

__all__ = ["HOSTS", "ConvLike", "host", "host_names"]

Options = dict[str, Any]


class ConvLike(nn.Module):
    """A block where a stock `Conv` could stand: [Conv ->] block -> BatchNorm -> activation.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)). The block's own options follow by position or, last, as a
    dict by name: `[256, 3, 2, {order: 4}]`.
    """

    block_name: ClassVar[str]

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, *options: Any) -> None:
        super().__init__()
        row = BLOCKS[self.block_name]
        positional, named = _split_options(options)
        sets_width = row.kind == "keep" and (c1 != c2 or s != 1)
        self.pre = stock.Conv(c1, c2, k, s) if sets_width else nn.Identity()
        self.block = _build(row, ((c2,) if row.kind == "keep" else (c1, c2, k, s)) + positional, named)
        self.bn: nn.Module = nn.BatchNorm2d(c2)
        self.act: nn.Module = stock.Conv.default_act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.block(self.pre(x))))

    @torch.no_grad()
    def fuse(self) -> None:
        """Fold the BatchNorm into the block where its last step is linear, else leave a per-channel 1x1 conv."""
        bn = self.bn
        if not isinstance(bn, nn.BatchNorm2d):
            return
        assert bn.running_var is not None and bn.running_mean is not None
        scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        shift = bn.bias - bn.running_mean * scale
        fold = getattr(self.block, "fold_affine", None)
        if fold is not None:
            fold(scale, shift)
            self.bn = nn.Identity()
        else:
            self.bn = _per_channel(scale, shift)


def _per_channel(scale: Tensor, shift: Tensor) -> nn.Conv2d:
    affine = nn.Conv2d(len(scale), len(scale), 1, groups=len(scale)).to(scale).requires_grad_(False)
    affine.weight.copy_(scale.reshape(-1, 1, 1, 1))
    assert affine.bias is not None
    affine.bias.copy_(shift)
    return affine


def _build(row: Block, args: tuple[Any, ...], options: Options) -> nn.Module:
    try:
        inspect.signature(row.cls).bind(*args, **options)
    except TypeError as error:
        raise TypeError(f"{row.name}{inspect.signature(row.cls)}: {error}; got {args} and {options}") from None
    module: nn.Module = row.cls(*args, **options)
    return module


class _Bottlenecks:
    """Mixin of C2f_X, C3_X, C3k2_X: build the stock module, then put X in place of each bottleneck's second conv.

    The stock `forward` (and C2f's `forward_split`, which exporters call) stay untouched.
    """

    block_name: ClassVar[str]

    def __init__(self, c1: int, c2: int, n: int = 1, *args: Any) -> None:
        args, options = _split_options(args)
        super().__init__(c1, c2, n, *args)  # type: ignore[call-arg]
        for bottleneck in [m for m in self.m.modules() if isinstance(m, Bottleneck)]:  # type: ignore[attr-defined]
            _plug(bottleneck, self.block_name, options)


def _split_options(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Options]:
    """A row's options by name are its last argument: (True, {"order": 4}) -> (True,), {"order": 4}."""
    return (args[:-1], args[-1]) if args and isinstance(args[-1], dict) else (args, {})


def _plug(bottleneck: Bottleneck, name: str, options: Options) -> None:
    first, second = bottleneck.cv1.conv, bottleneck.cv2.conv
    if second.groups != 1:
        raise ValueError(
            f"C2f/C3/C3k2_{name}: g={second.groups} does not reach {name} in a bottleneck; give its own option by name"
        )
    c2, k = second.out_channels, second.kernel_size[0]
    if BLOCKS[name].kind == "keep" and first.out_channels != c2:
        # A block that keeps its width cannot widen a narrow hidden layer: the first conv gives the full width.
        bottleneck.cv1 = stock.Conv(first.in_channels, c2, first.kernel_size[0])
    bottleneck.add_module("cv2", host(name)(bottleneck.cv1.conv.out_channels, c2, k, 1, options))


_PREFIXES = ("C2f", "C3", "C3k2")

HOSTS: dict[str, type[nn.Module]] = {}
"""YAML name -> class, of the hosts made so far in this process."""


def host_names() -> list[str]:
    """Every YAML name that the registered blocks offer on this Ultralytics release."""
    return [name for block in BLOCKS.values() for name in block.hosts if _base(name) is not None]


def host(name: str) -> type[nn.Module]:
    """The class behind a YAML name. Raises KeyError for an unknown name, listing the known ones."""
    if name not in HOSTS:
        prefix, _, rest = name.partition("_")
        block_name = rest if prefix in _PREFIXES and rest in BLOCKS else name
        if block_name not in BLOCKS:
            raise KeyError(f"unknown name {name!r}; known: {', '.join(host_names())}")
        base = _base(name)
        if base is None:
            raise KeyError(f"{name} needs {prefix}, which ultralytics {ultralytics.__version__} does not have")
        doc = f"{block_name} as a {'conv-like row' if base is ConvLike else prefix + ' block'}; made by yoloplug.hosts."
        bases = (base,) if base is ConvLike else (_Bottlenecks, base)
        HOSTS[name] = type(name, bases, {"__module__": __name__, "__doc__": doc, "block_name": block_name})
    return HOSTS[name]


def _base(name: str) -> type[nn.Module] | None:
    prefix, _, rest = name.partition("_")
    if name in BLOCKS:
        return ConvLike
    return getattr(stock, prefix, None) if prefix in _PREFIXES and rest in BLOCKS else None


def __getattr__(name: str) -> type[nn.Module]:
    """`yoloplug.hosts.C2f_gnConv`: what unpickling a checkpoint asks for."""
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        return host(name)
    except KeyError as error:
        # Not AttributeError: pickle would replace its message by one that says nothing of blocks.
        hint = "if it is your own block, import the module that registers it before loading the checkpoint"
        raise ImportError(f"{error.args[0]}; {hint}") from None
