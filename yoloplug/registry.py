"""The catalogue: every block's name, class, paper, cost and limits. Blocks register themselves; no folder scanning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from yoloplug.errors import YoloplugError
from yoloplug.names import did_you_mean

Kind = Literal["conv", "keep"]
"""`conv`: cls(c1, c2, k, s, **options) sets width and stride. `keep`: cls(c, **options) keeps both."""

Tail = Literal["norm+act", "act", "none"]
"""What the host adds behind the block: BatchNorm and activation, the activation only, or nothing."""

Place = Literal["conv", "bottleneck", "row"]
"""Where the block goes in C2f, C3 and C3k2: for a bottleneck's second conv, for the whole bottleneck, or nowhere."""

Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class Block:
    """One row of the catalogue. `hosts` are the YAML names under which Ultralytics knows the block.

    params, macs: formulas of the parameters and of the multiply-adds for one image, as Python expressions over the
    constructor's parameters, P = H_out * W_out, H and W (input size), ceil, floor, log2, min, max. `macs` counts what
    `yoloplug.cost.flops.count_flops` counts: convolutions, matrix products, sampling (4 a value), Fourier transforms.
    conditioned: the row may have a second input, `[[-1, 4], 1, X, [...]]`; its width arrives as option `c_condition`
    and its features as second argument of forward.
    """

    name: str
    cls: type
    kind: Kind
    paper: str
    constraints: str = "none"
    params: str = ""
    macs: str = ""
    tail: Tail = "norm+act"
    place: Place = "conv"
    conditioned: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        prefixes = () if self.place == "row" else ("C2f_", "C3_", "C3k2_")
        return (self.name, *(prefix + self.name for prefix in prefixes))

    @property
    def summary(self) -> str:
        """First line of the class docstring."""
        return (self.cls.__doc__ or "").strip().split("\n")[0]


class UnknownBlock(YoloplugError, KeyError):
    """A name outside of the catalogue."""

    __str__ = YoloplugError.__str__


BLOCKS: dict[str, Block] = {}


def register(
    name: str,
    *,
    kind: Kind,
    paper: str,
    constraints: str = "none",
    params: str = "",
    macs: str = "",
    tail: Tail = "norm+act",
    place: Place = "conv",
    conditioned: bool = False,
) -> Callable[[Class], Class]:
    """Class decorator that adds a block to the catalogue under its YAML name; the fields are those of `Block`.

        @yoloplug.register("Squeeze", kind="keep", paper="arXiv:1709.01507")
        class Squeeze(nn.Module): ...

    paper: an arXiv number or DOI. constraints: what the constructor refuses, in a few words for `yoloplug blocks`.
    Raises ValueError on a name already taken or an unknown kind, tail or place.
    """
    for field, value, choices in (("kind", kind, Kind), ("tail", tail, Tail), ("place", place, Place)):
        if value not in get_args(choices):
            raise ValueError(f"register({name!r}): {field} must be one of {get_args(choices)}, got {value!r}")

    def add(cls: Class) -> Class:
        if name in BLOCKS:
            taken = BLOCKS[name].cls
            raise ValueError(f"register({name!r}): name taken by {taken.__module__}.{taken.__name__}")
        BLOCKS[name] = Block(name, cls, kind, paper, constraints, params, macs, tail, place, conditioned)
        return cls

    return add


def block(name: str) -> Block:
    """The catalogue row of a name. Raises UnknownBlock with the nearest names, or with all of them if none is near."""
    if name not in BLOCKS:
        raise unknown(name, {row.name: row.hosts for row in BLOCKS.values()})
    return BLOCKS[name]


def unknown(name: str, hosts: Mapping[str, Iterable[str]]) -> UnknownBlock:
    """The error of a name that is none of `hosts`, block -> its YAML names."""
    hosted = [known for known, names in hosts.items() if name in names]
    hint = f"; did you mean {hosted[0]}?" if hosted else did_you_mean(name, hosts)
    return UnknownBlock(f"unknown block {name!r}" + (hint or f"; known: {', '.join(sorted(hosts))}"))
