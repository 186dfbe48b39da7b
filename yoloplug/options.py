"""What a YAML row says of its block: options by position and by name, checked before and while the block is built."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from typing import Any, get_args

import torch
from torch import nn

from yoloplug.names import did_you_mean
from yoloplug.preserve.beside import Preserve
from yoloplug.registry import Block

Options = dict[str, Any]


def split_options(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Options]:
    """A row's options by name are its last argument: (True, {"order": 4}) -> (True,), {"order": 4}."""
    return (args[:-1], args[-1]) if args and isinstance(args[-1], dict) else (args, {})


def take_preserve(options: Options) -> tuple[Preserve, Options]:
    """The value of `preserve` among a row's options, and the others. Raises ValueError for another value."""
    preserve = options.get("preserve", False)
    if preserve not in (True, False, "inserted"):
        raise ValueError(
            f"preserve must be true (in the place of a stock row), inserted (in no place) or false, got {preserve!r}"
        )
    return preserve, {name: value for name, value in options.items() if name != "preserve"}


def build_block(row: Block, args: tuple[Any, ...], options: Options) -> nn.Module:
    """The block of a row. Raises TypeError and ValueError that name the parameter, its limits and the nearest one."""
    signature = inspect.signature(row.cls)
    try:
        given = signature.bind(*args, **options).arguments
    except TypeError as error:
        known = {*signature.parameters, "preserve"}
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
