"""What a stock row means, said again in the arguments of a block's row: width, repeats, kernel, stride, shortcut, e.

The families differ in order and defaults (C3 adds its input unless told otherwise, C2f does not; C3k2's second argument
is `c3k`), so that copying arguments by position would change the model silently. What has no counterpart is named.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from math import ceil
from typing import Any

from yoloplug.modelfile.file import Row

CONVS = frozenset("Conv DWConv GhostConv Focus ADown AConv SCDown HGStem GhostBottleneck ResNetLayer".split())
POOLS = frozenset("SPP SPPF SPPELAN".split())
UNITS = frozenset(
    "C1 C2 C2f C3 C3k2 C3x C3TR C3Ghost C2fCIB C2PSA C2fPSA PSA A2C2f BottleneckCSP Bottleneck RepC3 "
    "RepNCSPELAN4 ELAN1 HGBlock".split()
)
FAMILIES = ("C2f", "C3", "C3k2")


@dataclass
class Meaning:
    """One row in words of all families. lost: given arguments that none of the fields holds."""

    width: Any
    """Channels before scaling; None for the input's."""

    repeats: int
    k: int
    s: int
    shortcut: bool
    e: float
    c3k: bool
    lost: dict[str, Any]


@dataclass(frozen=True)
class Translated:
    """args is None where the row's own arguments stay as they are."""

    repeats: int
    args: list[Any] | None
    lost: dict[str, Any]


def translatable(name: str) -> bool:
    """Whether a block can stand for this module: one input map, a width of its own, no enlargement."""
    from yoloplug.hosts import host_names

    return name in CONVS | POOLS | UNITS or name in host_names()


def meaning(row: Row) -> Meaning:
    """Read a row of a translatable module. Its argument count is valid (`report.validate`)."""
    from yoloplug.bridge.row_arguments import row_parameters

    parameters = row_parameters(row.name)
    options = row.args[-1] if row.args and isinstance(row.args[-1], dict) else {}
    values = row.args[:-1] if options else row.args
    given = dict(zip(parameters, values, strict=False))
    left = {**given, **options}

    def take(name: str, default: Any) -> Any:
        left.pop(name, None)
        own = parameters[name].default if name in parameters else default
        return given.get(name, default if own in (None, inspect.Parameter.empty) else own)

    kernel = 3 if row.name in POOLS else take("k", 3)
    found = Meaning(
        width=take("c2", None),
        repeats=row.repeats,
        k=kernel if isinstance(kernel, int) else 3,
        s=take("s", 1),
        shortcut=bool(take("shortcut", False)),
        e=take("e", 0.5) if row.name != "ResNetLayer" else 0.5,
        c3k=bool(take("c3k", False)),
        lost={},
    )
    _specials(row.name, found, given, take)
    if found.k % 2 == 0:  # a stem such as YOLOv5's 6x6 with padding 2: the odd kernel that keeps the map's size
        left["k"] = f"{found.k} ({found.k - 1} taken)"
        left.pop("p", None)
        found.k -= 1
    else:
        p = left.get("p")
        if p == found.k // 2:
            del left["p"]
    defaults = {name: p.default for name, p in parameters.items()}
    if 2 * given.get("c4", 0) == given.get("c3"):
        left.pop("c4", None)  # the usual half of c3: follows from e
    found.lost = {k: v for k, v in left.items() if v not in (None, "None", False) and v != defaults.get(k)}
    if given.get("act") is False:
        found.lost["act"] = False
    if row.name in POOLS and "k" in given:
        found.lost["k"] = given["k"]
    return found


def translate(row: Row, target: str, options: dict[str, Any], changes_width: bool) -> Translated:
    """The row said for the host `target`. changes_width: whether the row's input and output width differ."""
    from yoloplug.bridge.row_arguments import row_parameters
    from yoloplug.registry import BLOCKS

    if target not in BLOCKS and row.name.split("_")[0] == target.split("_")[0]:
        own = row.args[-1] if row.args and isinstance(row.args[-1], dict) else {}
        lost = {k: v for k, v in own.items() if k not in options}
        kept = row.args[:-1] if own else row.args
        return Translated(row.repeats, [*kept, *_last(options)] if own or options else None, lost)
    found = meaning(row)
    lost = dict(found.lost)
    if target in BLOCKS:
        lost |= {"c3k": True} if found.c3k and row.name == "C3k2" else {}
        repeats = found.repeats
        if repeats > 1 and (changes_width or found.s > 1):
            lost["repeats"], repeats = repeats, 1
        args = [found.width, found.k, found.s, *_last(options)]
        return Translated(repeats, None if args == row.args else args, lost)
    family = target.split("_")[0]
    values = {"c2": found.width, "shortcut": found.shortcut, "e": round(found.e, 4)}
    if family == "C3k2":
        values["c3k"] = found.c3k
    elif found.c3k:
        lost["c3k"] = True
    if found.k != 3 and row.name in CONVS:
        lost["k"] = found.k
    parameters = row_parameters(family)
    args = [values.get(name, p.default) for name, p in parameters.items()]
    while len(args) > 1 and args[-1] == list(parameters.values())[len(args) - 1].default:
        args.pop()
    args += _last(options)
    return Translated(found.repeats, None if args == row.args else args, lost)


def _specials(name: str, found: Meaning, given: dict[str, Any], take: Any) -> None:
    """Modules whose arguments mean something else than their names in C2f say."""
    if name in ("ADown", "AConv"):
        found.k, found.s = 3, 2
    elif name == "Focus":
        found.k, found.s = max(found.k, 3), 2 * found.s
    elif name == "HGStem":
        found.s = 4
    elif name == "HGBlock":  # n plain convolutions of width cm; a bottleneck holds two
        found.e, found.repeats = take("cm", 0) / found.width, ceil(found.repeats / 2)
    elif name == "RepNCSPELAN4":  # half of c3 passes by, as in C2f with this e; two branches of n bottlenecks
        found.e, found.repeats, found.shortcut = take("c3", 0) / (2 * found.width), 2 * take("n", 1), True
    elif name == "ELAN1":  # two plain convolutions: one bottleneck
        found.e, found.shortcut = take("c3", 0) / (2 * found.width), False
    elif name == "A2C2f":  # each unit holds two attention layers, or two bottlenecks, as with c3k
        found.shortcut, found.c3k = True, True
    elif name in ("C2PSA", "C2fPSA", "PSA"):
        found.shortcut = True
    elif name == "ResNetLayer":
        first = bool(take("is_first", False))
        found.s = 4 if first else found.s
        found.width *= 1 if first else take("e", 4)
        found.repeats = take("n", 1)
        take("c1", 0)


def _last(options: dict[str, Any]) -> list[Any]:
    return [options] if options else []
