"""How a block sits in YOLO: as a row of its own, or inside the bottlenecks of C2f, C3 and C3k2.

A block kind `conv` takes width and stride itself; a block kind `keep` gets both from a stock `Conv` before it, which is
there only when the row changes them. Behind a bare operation come BatchNorm and the YAML's activation, as in a stock
`Conv`: blocks such as SCConv shrink their output, gnConv and GBC grow it, and the norm hides that from the next layer.
A block that ends in its own norm or activation says so in the registry (`tail`), and gets only what is missing.
A block that is a whole residual unit (`place="bottleneck"`) replaces the bottleneck instead of its second conv.

The classes are made on first use from the registry, under the names that YAMLs and checkpoints carry:
`yoloplug.hosts.gnConv`, `yoloplug.hosts.C2f_gnConv`, `yoloplug.hosts.C3_gnConv`, `yoloplug.hosts.C3k2_gnConv`.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from typing import Any, ClassVar, get_args

import torch
import ultralytics
from torch import Tensor, nn
from ultralytics.nn import modules as stock
from ultralytics.nn.modules.block import Bottleneck

import yoloplug.blocks  # noqa: F401  (fills the registry)
from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.folding.batch_norm import bn_affine, fold_norms
from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d
from yoloplug.names import did_you_mean
from yoloplug.registry import BLOCKS, Block

__all__ = ["HOSTS", "ConvLike", "host", "host_names"]

Options = dict[str, Any]


class ScaleFreeNorm(CorrectedBatchNorm2d):
    """BatchNorm whose output does not depend on how large the block's values are.

    Ultralytics sets eps=1e-3 on every `nn.BatchNorm2d` of a model. Against the variance of a plain convolution that is
    nothing; SCConv's (1e-6 at 256 channels, through its softmax over 2C) it would drown, and a layer would start dead.
    A type of its own keeps its eps; its momentum is Ultralytics'.
    """

    def __init__(self, c: int) -> None:
        super().__init__(c, eps=1e-10, momentum=0.03)


class ConvLike(nn.Module):
    """A block where a stock `Conv` could stand: [Conv ->] block [-> BatchNorm] [-> activation].

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)). The block's own options follow by position or, last, as a
    dict by name: `[256, 3, 2, {order: 4}]`. A conditioned block may be given a list of two feature maps.
    """

    block_name: ClassVar[str]

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, *options: Any) -> None:
        super().__init__()
        row = BLOCKS[self.block_name]
        positional, named = _split_options(options)
        sets_width = row.kind == "keep" and (c1 != c2 or s != 1)
        self.pre = stock.Conv(c1, c2, k, s) if sets_width else nn.Identity()
        self.block = _build(row, ((c2,) if row.kind == "keep" else (c1, c2, k, s)) + positional, named)
        self.bn: nn.Module = ScaleFreeNorm(c2) if row.tail == "norm+act" else nn.Identity()
        self.act: nn.Module = nn.Identity() if row.tail == "none" else stock.Conv.default_act

    def forward(self, x: Tensor | list[Tensor]) -> Tensor:
        x, *condition = x if isinstance(x, list | tuple) else (x,)
        return self.act(self.bn(self.block(self.pre(x), *condition)))

    def _load_from_state_dict(self, state_dict: Options, prefix: str, *args: Any) -> None:
        """Of a state of another row (a stock `Conv`'s, met by key and shape) the norm takes gain and shift only."""
        if self.block.state_dict() and not any(key.startswith(prefix + "block.") for key in state_dict):
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                state_dict.pop(f"{prefix}bn.{name}", None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    @torch.no_grad()
    def fuse(self) -> bool:
        """Prepare for inference in place: make the block one Conv2d if it can be, fold every BatchNorm.

        Returns whether the block became a single Conv2d now. A BatchNorm behind a block whose last step is not linear
        becomes a per-channel 1x1 conv.
        """
        to_conv = getattr(self.block, "to_conv", None)
        if to_conv is not None:
            self.block = to_conv()
        fold_norms(self.block)
        if isinstance(self.bn, nn.BatchNorm2d):
            self.bn = self._without_bn(*bn_affine(self.bn))
        return to_conv is not None

    def _without_bn(self, scale: Tensor, shift: Tensor) -> nn.Module:
        fold = getattr(self.block, "fold_affine", None)
        if isinstance(self.block, nn.Conv2d):
            absorb_affine(self.block, scale, shift)
        elif fold is not None:
            fold(scale, shift)
        else:
            return _per_channel(scale, shift)
        return nn.Identity()


def _per_channel(scale: Tensor, shift: Tensor) -> nn.Conv2d:
    affine = nn.Conv2d(len(scale), len(scale), 1, groups=len(scale)).to(scale).requires_grad_(False)
    affine.weight.copy_(scale.reshape(-1, 1, 1, 1))
    assert affine.bias is not None
    affine.bias.copy_(shift)
    return affine


def _build(row: Block, args: tuple[Any, ...], options: Options) -> nn.Module:
    signature = inspect.signature(row.cls)
    try:
        given = signature.bind(*args, **options).arguments
    except TypeError as error:
        known = set(signature.parameters)
        hint = "".join(did_you_mean(key, known) for key in options if key not in known)
        raise TypeError(f"{row.name}{signature}: {error}{hint}; got {args} and {options}") from None
    _check_types(row, given)
    try:
        module: nn.Module = row.cls(*args, **options)
    except ValueError as error:
        raise ValueError(f"{error}{_valid_widths(row, args, options)}") from None
    return module


def _check_types(row: Block, given: Options) -> None:
    """Raises TypeError for a value that is not of its parameter's type, and for numbers that are none (NaN)."""
    try:
        parameters = inspect.signature(row.cls, eval_str=True).parameters
    except NameError:  # annotations of a user's block that only a type checker can read
        return
    for name, value in given.items():
        kinds = get_args(parameters[name].annotation) or (parameters[name].annotation,)
        if not all(kind in _KINDS for kind in kinds) or any(_KINDS[kind][1](value) for kind in kinds):
            continue
        hint = ""
        if isinstance(value, dict):
            hint = "; options by name come last in the row"
        elif isinstance(value, str) and float in kinds and re.fullmatch(r"[+-]?\d+e[+-]?\d+", value):
            hint = f"; YAML reads it as text, write {value.replace('e', '.0e')}"
        wanted = " or ".join(_KINDS[kind][0] for kind in kinds)
        raise TypeError(f"{row.name}: {name} must be {wanted}, got {value!r}{hint}")


_KINDS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: (
        "a finite number",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
    ),
    bool: ("True or False", lambda value: value in (True, False)),
    type(None): ("None", lambda value: value is None),
}
"""Type of a parameter -> its name in a message, and whether a value is of it. Other types are left to the block."""


def _valid_widths(row: Block, args: tuple[Any, ...], options: Options) -> str:
    """The widths next to the refused one that the block accepts, as the end of an error message."""
    position = 0 if row.kind == "keep" else 1
    width = args[position]

    def accepts(c: int) -> bool:
        with torch.device("meta"):
            try:
                row.cls(*args[:position], c, *args[position + 1 :], **options)
            except ValueError:
                return False
        return True

    below = next((c for c in range(width - 1, max(0, width - 129), -1) if accepts(c)), None)
    above = next((c for c in range(width + 1, width + 129) if accepts(c)), None)
    near = [str(c) for c in (below, above) if c is not None]
    return f" (nearest valid widths with these options: {' and '.join(near)})" if near else ""


class _Bottlenecks:
    """Mixin of C2f_X, C3_X, C3k2_X: build the stock module, then put X into (or in place of) each bottleneck.

    The stock `forward` (and C2f's `forward_split`, which exporters call) stay untouched.
    """

    block_name: ClassVar[str]

    def __init__(self, c1: int, c2: int, n: int = 1, *args: Any) -> None:
        args, options = _split_options(args)
        super().__init__(c1, c2, n, *args)  # type: ignore[call-arg]
        for parent in list(self.m.modules()):  # type: ignore[attr-defined]
            for key, bottleneck in list(parent.named_children()):
                if isinstance(bottleneck, Bottleneck):
                    parent.add_module(key, _plugged(bottleneck, self.block_name, options))


def _split_options(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Options]:
    """A row's options by name are its last argument: (True, {"order": 4}) -> (True,), {"order": 4}."""
    return (args[:-1], args[-1]) if args and isinstance(args[-1], dict) else (args, {})


def _plugged(bottleneck: Bottleneck, name: str, options: Options) -> nn.Module:
    """The bottleneck with the block for its second conv, or the block that stands for the bottleneck."""
    first, second = bottleneck.cv1.conv, bottleneck.cv2.conv
    if second.groups != 1:
        raise ValueError(
            f"C2f/C3/C3k2_{name}: g={second.groups} does not reach {name} in a bottleneck; give its own option by name"
        )
    c2, k = second.out_channels, second.kernel_size[0]
    if BLOCKS[name].place == "bottleneck":
        return host(name)(first.in_channels, c2, k, 1, options)
    if BLOCKS[name].kind == "keep" and first.out_channels != c2:
        # A block that keeps its width cannot widen a narrow hidden layer: the first conv gives the full width.
        bottleneck.cv1 = stock.Conv(first.in_channels, c2, first.kernel_size[0])
    bottleneck.add_module("cv2", host(name)(bottleneck.cv1.conv.out_channels, c2, k, 1, options))
    return bottleneck


_PREFIXES = ("C2f", "C3", "C3k2")

HOSTS: dict[str, type[nn.Module]] = {}
"""YAML name -> class, of the hosts made so far in this process."""


def host_names() -> list[str]:
    """Every YAML name that the registered blocks offer on this Ultralytics release."""
    return [name for block in BLOCKS.values() for name in block.hosts if _base(name) is not None]


def host(name: str) -> type[nn.Module]:
    """The class behind a YAML name. Raises KeyError for an unknown name, with the nearest ones."""
    if name not in HOSTS:
        prefix, _, rest = name.partition("_")
        block_name = rest if name not in BLOCKS and prefix in _PREFIXES and rest in BLOCKS else name
        if block_name not in BLOCKS:
            hint = did_you_mean(name, host_names(), cutoff=0.7) or "; all of ours: yoloplug blocks"
            raise KeyError(f"unknown name {name!r}{hint}")
        if name not in BLOCKS[block_name].hosts:
            raise KeyError(f"{name}: {block_name} only stands as a row of its own; use {block_name}")
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
