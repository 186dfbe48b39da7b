"""What the Inception blocks share: parallel branches over one input, described by a table of the published widths."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one, one_of
from yoloplug.blocks.parts.memory_format import memory_format, traced
from yoloplug.blocks.parts.norms.normalised import normalised
from yoloplug.blocks.parts.padding import autopad
from yoloplug.native.use import hooked

Padding = Literal["same", "valid"]

Table = Mapping[str, str]
"""Branch name -> its layers in order as the papers' figures write them, `1x1 64, 3x3 96`: kernel (height x width) and
the published width; `(1x3|3x1) 384` are two side by side, concatenated; `pool`. A branch that is nothing but the pool
passes the pooled input on, c1 channels wide."""

LAYERS = r"branch\w*(\.\d+)?(\.[ab])?\.(conv\.weight|bn\.\w+)"
"""The keys of a `Branches` state, as a regular expression."""


class _Conv(NamedTuple):
    width: int
    tall: int
    wide: int


def _layers(branch: str) -> list[list[_Conv]]:
    """The convolutions of each layer: one, two in a fork, none in a pool."""
    layers = []
    for layer in branch.split(", "):
        kernels, _, width = layer.rpartition(" ")
        sides = [kernel.split("x") for kernel in kernels.strip("()").split("|") if kernel]
        layers.append([_Conv(int(width), int(tall), int(wide)) for tall, wide in sides])
    return layers


class Branches(nn.Module):
    """The concatenated outputs of a table's branches; each convolution is followed by BatchNorm and ReLU.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); padding="valid" pads nothing in the layers with stride:
    (H - 3) // 2 + 1. The stride is in the pool, or else in the last layer, of each branch.
    widths: of every convolution in the table's order; by default the published ones in proportion to c2.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int,
        s: int,
        table: Table,
        pooling: nn.Module,
        widths: Sequence[int] | None = None,
        padding: Padding = "same",
        eps: float = 1e-3,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        at_least_one(name, c1=c1, c2=c2, s=s)
        if k != 3:
            raise ValueError(f"{name}: its branches have kernels of their own; leave k at 3, got k={k}")
        one_of(name, get_args(Padding), padding=padding)
        wide = iter(_scaled(name, table, c1, c2) if widths is None else _checked(name, table, c1, c2, widths))
        for branch, layers in table.items():
            modules: list[nn.Module] = []
            width, parsed = c1, _layers(layers)
            for position, convs in enumerate(parsed):
                stride = s if position == len(parsed) - 1 and [] not in parsed else 1
                pad = padding == "same" or stride == 1
                built = [_ConvNormReLU(width, next(wide), conv, stride, pad, eps) for conv in convs]
                width = sum(conv.conv.out_channels for conv in built) or width
                modules.append(_Forked(*built) if len(built) > 1 else built[0] if built else pooling)
            self.add_module(branch, nn.Sequential(*modules))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([_run(branch, x) for branch in self.children()], dim=1)


def _run(branch: nn.Module, x: Tensor) -> Tensor:
    """A mean and the 1x1 convolution behind it commute: it is taken of the convolution's fewer channels.

    A maximum takes an eighth of its time in channels_last on a CPU, and in NCHW most of the module's.
    """
    pool, *layers = branch.children()
    if isinstance(pool, nn.AvgPool2d) and layers and not (hooked(branch) or hooked(layers[0])):
        conv, bn = layers[0].children()
        if pool.stride == 1 and conv.bias is None and conv.out_channels <= conv.in_channels:
            return normalised(bn, pool(conv(x)), "relu")
    if isinstance(pool, nn.AvgPool2d | _ConvNormReLU | _Forked) or x.device.type != "cpu" or traced():
        y: Tensor = branch(x)
        return y
    return branch(x.contiguous(memory_format=torch.channels_last)).contiguous(memory_format=memory_format(x))


class _ConvNormReLU(nn.Module):
    def __init__(self, c1: int, c2: int, k: _Conv, s: int, pad: bool, eps: float) -> None:
        super().__init__()
        around = (autopad(k.tall), autopad(k.wide)) if pad else 0
        self.conv = nn.Conv2d(c1, c2, (k.tall, k.wide), s, around, bias=False)
        self.bn = nn.BatchNorm2d(c2, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        return normalised(self.bn, self.conv(x), "relu")


class _Forked(nn.Module):
    def __init__(self, a: nn.Module, b: nn.Module) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), self.b(x)], dim=1)


def check_form(name: str, form: str, tables: Mapping[str, Table], reductions: Sequence[str], s: int) -> None:
    """Raises ValueError on an unknown form, and on a reduction with a stride other than the papers' 2."""
    one_of(name, [*tables], form=form)
    if form in reductions and s != 2:
        raise ValueError(f"{name}: form {form} halves the map; use s=2 or another form, got s={s}")


def pooling_of(
    name: str, form: str, tables: Mapping[str, Table], reductions: Sequence[str], s: int, padding: Padding, **mean: bool
) -> nn.Module:
    """What a form pools with: the maximum where it halves the map, else the mean (mean: options of nn.AvgPool2d).

    Raises ValueError as check_form, and on padding="valid" elsewhere than in a reduction.
    """
    check_form(name, form, tables, reductions, s)
    if form in reductions:
        return nn.MaxPool2d(3, s, int(padding == "same"))
    if padding == "valid":
        raise ValueError(f"{name}: padding='valid' is for forms {tuple(reductions)}, got form {form!r}")
    return nn.AvgPool2d(3, s, 1, **mean)


def _passed(table: Table, c1: int) -> int:
    """Channels that a branch of nothing but the pool hands on."""
    return c1 * list(table.values()).count("pool")


def _convs(table: Table) -> list[tuple[_Conv, bool]]:
    """Every convolution in order, and whether it ends its branch."""
    branches = [_layers(branch) for branch in table.values()]
    return [(conv, layer is branch[-1]) for branch in branches for layer in branch for conv in layer]


def _scaled(name: str, table: Table, c1: int, c2: int) -> list[int]:
    """Published widths times c2 / published output, rounded down, at least 1; the widest output takes the rest."""
    convs, room = _convs(table), c2 - _passed(table, c1)
    ends = [conv.width for conv, last in convs if last]
    total, least = sum(ends), ceil(sum(ends) / min(ends))
    if room < least:
        passed = f" (one branch passes all c1={c1} channels on)" if room < c2 else ""
        raise ValueError(f"{name}: c2={c2} is too narrow for its branches{passed}; use c2 >= {c2 - room + least}")
    widths = [max(1, conv.width * room // total) for conv, _ in convs]
    outputs = [position for position, (_, last) in enumerate(convs) if last]
    widest = max(outputs, key=lambda position: convs[position][0].width)
    widths[widest] += room - sum(widths[position] for position in outputs)
    return widths


def _checked(name: str, table: Table, c1: int, c2: int, widths: Sequence[int]) -> Sequence[int]:
    convs = _convs(table)
    if len(widths) != len(convs) or min(widths) < 1:
        raise ValueError(f"{name}: widths must be {len(convs)} positive numbers ({', '.join(table)}), got {widths}")
    given = sum(width for width, (_, last) in zip(widths, convs, strict=True) if last) + _passed(table, c1)
    if given != c2:
        raise ValueError(f"{name}: widths {list(widths)} make {given} output channels, the row says c2={c2}")
    return widths
