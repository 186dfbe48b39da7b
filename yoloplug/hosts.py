"""How a block sits in YOLO: as a row of its own, or inside the bottlenecks of C2f, C3 and C3k2.

A block kind `conv` takes width and stride itself; a block kind `keep` gets both from a stock `Conv` before it, which is
there only when the row changes them. Behind a bare operation come BatchNorm and the YAML's activation, as in a stock
`Conv`: blocks such as SCConv shrink their output, gnConv and GBC grow it, and the norm hides that from the next layer.
A block that ends in its own norm or activation says so in the registry (`tail`), and gets only what is missing.
A block that is a whole residual unit (`place="bottleneck"`) replaces the bottleneck instead of its second conv.

With `preserve: true` among its options a row can start as the pretrained stock module in its place (`start_as`): see
`yoloplug.preserve`. The block then is that module's convolution where it can be one, otherwise the module stays and
the block stands beside it, behind a factor that is 0. `preserve: inserted` is for rows that stand in no place of stock.

The classes are made on first use from the registry, under the names that YAMLs and checkpoints carry:
`yoloplug.hosts.gnConv`, `yoloplug.hosts.C2f_gnConv`, `yoloplug.hosts.C3_gnConv`, `yoloplug.hosts.C3k2_gnConv`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import ultralytics
from torch import Tensor, nn
from ultralytics.nn import modules as stock
from ultralytics.nn.modules.block import Bottleneck

import yoloplug.blocks  # noqa: F401  (fills the registry)
from yoloplug.blocks.parts.folding.affine import absorbed
from yoloplug.blocks.parts.folding.batch_norm import bn_affine, fold_norms
from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d
from yoloplug.names import did_you_mean
from yoloplug.options import Options, build_block, split_options, take_preserve
from yoloplug.preserve.beside import GAMMA, Beside, Preserve, conv_and_norm, settled, stock_norm
from yoloplug.preserve.kernels import EXACT, exact, preserving_options
from yoloplug.preserve.source import alike, described, place, take_norm
from yoloplug.registry import BLOCKS
from yoloplug.version import __version__


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
    preserves: Preserve = False

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, *options: Any) -> None:
        super().__init__()
        self.made_with = __version__  # what a checkpoint says of itself
        row = BLOCKS[self.block_name]
        positional, given = split_options(options)
        preserve, named = take_preserve(given)
        if preserve:
            named = {**preserving_options(self.block_name, preserve), **named}
        sets_width = row.kind == "keep" and (c1 != c2 or s != 1)
        self.pre = stock.Conv(c1, c2, k, s) if sets_width else nn.Identity()
        self.block = build_block(row, ((c2,) if row.kind == "keep" else (c1, c2, k, s)) + positional, named)
        self.bn: nn.Module = ScaleFreeNorm(c2) if row.tail == "norm+act" else nn.Identity()
        self.act: nn.Module = nn.Identity() if row.tail == "none" else stock.Conv.default_act
        if preserve == "inserted" and (c1 != c2 or s != 1):
            raise ValueError(
                f"preserve: inserted adds to the row's input, which needs its width and size, got {c1} to {c2} "
                f"channels and s={s}; use preserve: true in the place of a stock row"
            )
        if preserve:
            self._preserve(preserve, nn.Identity() if preserve == "inserted" or sets_width else None, c1, c2, k, s)

    def _preserve(self, preserve: Preserve, main: nn.Module | None, c1: int, c2: int, k: int, s: int) -> None:
        """Take a form that can start as `main`, or as the stock Conv of these numbers."""
        self.preserves = preserve
        if main is None and isinstance(self.block, nn.ConvTranspose2d) and s > 1:
            main = nn.Upsample(scale_factor=s)
        if main is not None:
            self.beside(main, c2)
            return
        settled(self.block)
        conv = stock.Conv(c1, c2, k, s).conv
        if exact(self.block_name, self.block, conv) is None:
            self.block = Beside(conv_and_norm(conv), self.block, self.bn, nn.Identity(), c2)
            self.bn, self.act = nn.Identity(), stock.Conv.default_act
        elif not isinstance(self.bn, nn.Identity):
            self.bn = stock_norm(c2)

    def beside(self, main: nn.Module, c2: int) -> None:
        """Become main(x) + gamma * this row, gamma 0. main: of the same shapes, c2 wide."""
        self.preserves = self.preserves or True
        self.block = Beside(main, settled(self.block), self.bn, self.act, c2)
        self.bn, self.act = nn.Identity(), nn.Identity()

    def mechanism(self) -> str:
        """How a row that preserves starts, in a few words."""
        beside = isinstance(self.block, Beside) or isinstance(self.pre, stock.Conv)
        return GAMMA if beside else EXACT[self.block_name].mechanism

    @torch.no_grad()
    def start_as(self, source: nn.Module) -> str:
        """Start as the stock module in whose place this row stands; returns how. Raises ValueError: it does not fit."""
        main = self.block.main if isinstance(self.block, Beside) else None
        if isinstance(self.pre, stock.Conv):
            main = self.pre
        if main is not None and not isinstance(main, nn.Sequential):
            if not alike(main, source):
                raise ValueError(f"{self.block_name} stands beside {described(main)}, not {described(source)}")
            main.load_state_dict(source.state_dict())
            return self.mechanism()
        if not isinstance(source, stock.Conv) or type(source.act) is not type(self.act) or not hasattr(source, "bn"):
            raise ValueError(f"{self.block_name} starts as a Conv of the row's activation, not {described(source)}")
        if main is None:
            rule = exact(self.block_name, self.block, source.conv)
            if rule is None:
                theirs = described(source.conv)
                raise ValueError(f"{self.block_name} with this width and these arguments cannot be {theirs}")
            place(rule, self.block, self.bn, source.conv.weight, source.bn)
            return self.mechanism()
        conv, norm = main.children()
        assert isinstance(norm, nn.BatchNorm2d)
        if not alike(conv, source.conv):
            raise ValueError(f"{self.block_name} stands beside {described(conv)}, not {described(source.conv)}")
        conv.load_state_dict(source.conv.state_dict())
        take_norm(norm, source.bn)
        return self.mechanism()

    def forward(self, x: Tensor | list[Tensor]) -> Tensor:
        x, *condition = x if isinstance(x, list | tuple) else (x,)
        return self.act(self.bn(self.block(self.pre(x), *condition)))

    @torch.no_grad()
    def fuse(self) -> bool:
        """Prepare for inference in place: make the block one Conv2d if it can be, fold every BatchNorm.

        Returns whether the block became a single Conv2d now. A BatchNorm behind a block whose last step is not linear
        becomes a per-channel 1x1 conv.
        """
        to_conv = getattr(self.block, "to_conv", None)
        if isinstance(self.block, Beside):
            self.block = self.block.merged()
        elif to_conv is not None:
            self.block = to_conv()
        else:
            fold_norms(self.block)
        if isinstance(self.bn, nn.BatchNorm2d):
            self.bn = absorbed(self.block, *bn_affine(self.bn))
        return to_conv is not None


class _Bottlenecks:
    """Mixin of C2f_X, C3_X, C3k2_X: build the stock module, then put X into (or in place of) each bottleneck.

    The stock `forward` (and C2f's `forward_split`, which exporters call) stay untouched.
    """

    block_name: ClassVar[str]

    def __init__(self, c1: int, c2: int, n: int = 1, *args: Any) -> None:
        args, options = split_options(args)
        super().__init__(c1, c2, n, *args)  # type: ignore[call-arg]
        for parent in list(self.m.modules()):  # type: ignore[attr-defined]
            for key, bottleneck in list(parent.named_children()):
                if isinstance(bottleneck, Bottleneck):
                    parent.add_module(key, _plugged(bottleneck, self.block_name, options))


def _plugged(bottleneck: Bottleneck, name: str, options: Options) -> nn.Module:
    """The bottleneck with the block for its second conv, or the block that stands for the bottleneck."""
    first, second = bottleneck.cv1.conv, bottleneck.cv2.conv
    if second.groups != 1:
        raise ValueError(
            f"C2f/C3/C3k2_{name}: g={second.groups} does not reach {name} in a bottleneck; give its own option by name"
        )
    c2, k = second.out_channels, second.kernel_size[0]
    preserve, named = take_preserve(options)
    if BLOCKS[name].place == "bottleneck":
        row = host(name)(first.in_channels, c2, k, 1, named)
        if preserve:
            assert isinstance(row, ConvLike)
            row.beside(bottleneck, c2)
        return row
    if BLOCKS[name].kind == "keep" and first.out_channels != c2 and not preserve:
        # A block that keeps its width cannot widen a narrow hidden layer: the first conv gives the full width.
        bottleneck.cv1 = stock.Conv(first.in_channels, c2, first.kernel_size[0])
    bottleneck.add_module("cv2", host(name)(bottleneck.cv1.conv.out_channels, c2, k, 1, options))
    return bottleneck


class Inserted(Beside):
    """x + gamma * row(x), gamma 0: a C2f_X, C3_X or C3k2_X that stands in no place of stock.

    cls: of the row. A block's own row does the same by itself (`ConvLike`).
    """

    preserves: Preserve = "inserted"

    def __init__(self, cls: type[nn.Module], c1: int, c2: int, *args: Any) -> None:
        if c1 != c2:
            raise ValueError(f"preserve: inserted adds to the row's input, which needs its width, got {c1} to {c2}")
        super().__init__(nn.Identity(), cls(c1, c2, *args), nn.Identity(), nn.Identity(), c2)

    def start_as(self, source: nn.Module) -> str:
        raise ValueError(f"an inserted row starts as nothing, not {described(source)}")


def placed(cls: type[nn.Module], args: list[Any]) -> tuple[type[nn.Module], list[Any]]:
    """Class and constructor arguments of a row of `cls` (c1, c2, ...), which may be an inserted one."""
    *most, last = args
    if issubclass(cls, _Bottlenecks) and isinstance(last, dict):
        preserve, options = take_preserve(last)
        if preserve == "inserted":
            return Inserted, [cls, *most, *([options] if options else [])]
    return cls, args


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


def stock_class(cls: type[nn.Module]) -> type[nn.Module]:
    """The stock class at whose place a row's class stands: `C2f` for `C2f_gnConv`, `Conv` for `gnConv`, else itself."""
    if issubclass(cls, ConvLike):
        return stock.Conv
    return next(base for base in cls.__mro__ if base.__module__ != __name__)


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
