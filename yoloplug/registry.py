"""The catalogue: every block's name, class, paper and limits. Blocks register themselves; nothing scans folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

__all__ = ["BLOCKS", "Block", "Kind", "block", "register"]

Kind = Literal["conv", "keep"]
"""`conv`: cls(c1, c2, k, s, **options) sets width and stride. `keep`: cls(c, **options) keeps both."""

Class = TypeVar("Class", bound=type)


@dataclass(frozen=True)
class Block:
    """One row of the catalogue. `hosts` are the YAML names under which Ultralytics knows the block."""

    name: str
    cls: type
    kind: Kind
    paper: str
    constraints: str

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.name, f"C2f_{self.name}", f"C3_{self.name}", f"C3k2_{self.name}")

    @property
    def summary(self) -> str:
        """First line of the class docstring."""
        return (self.cls.__doc__ or "").strip().split("\n")[0]


BLOCKS: dict[str, Block] = {}


def register(name: str, *, kind: Kind, paper: str, constraints: str = "none") -> Callable[[Class], Class]:
    """Class decorator that adds a block to the catalogue under its YAML name.

    paper: an arXiv number or DOI. constraints: what the constructor refuses, in a few words for `yoloplug blocks`.
    Raises ValueError on a name already taken or an unknown kind.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"register({name!r}): kind must be one of {get_args(Kind)}, got {kind!r}")

    def add(cls: Class) -> Class:
        if name in BLOCKS:
            raise ValueError(
                f"register({name!r}): name taken by {BLOCKS[name].cls.__module__}.{BLOCKS[name].cls.__name__}"
            )
        BLOCKS[name] = Block(name, cls, kind, paper, constraints)
        return cls

    return add


def block(name: str) -> Block:
    """The catalogue row of a name. Raises KeyError listing the known names."""
    if name not in BLOCKS:
        raise KeyError(f"unknown block {name!r}; known: {', '.join(sorted(BLOCKS))}")
    return BLOCKS[name]
