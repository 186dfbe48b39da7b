"""A value checked against its annotation, with a message a user can act on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from segplug.errors import SegplugError

__all__ = ["typed"]

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "none"}


def typed(name: str, value: Any, hint: Any) -> Any:
    """`value` as the type `hint` says: int, float, str, bool, a Literal of texts, Mapping, Sequence or a union of them.

    A number written as text counts for a float, a whole number for a float or a Literal ("32"), a Path for text.
    Raises SegplugError that names the setting, the type wanted and the value.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        fits, result = _fit(value, kind)
        if fits:
            return result
    raise SegplugError(f"{name} must be {' or '.join(map(_word, kinds))}, got {value!r}")


def _fit(value: Any, kind: Any) -> tuple[bool, Any]:
    origin = get_origin(kind) or kind
    if origin is Literal:
        return str(value) in get_args(kind), str(value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value), value
    if origin is Sequence:
        return isinstance(value, Sequence) and not isinstance(value, str), value
    if kind is float:
        return _number(value)
    if kind is str and isinstance(value, Path):
        return True, str(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool)), value


def _number(value: Any) -> tuple[bool, float]:
    """A finite number, from a number or its text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False, math.nan
    try:
        number = float(value)
    except ValueError:
        return False, math.nan
    return math.isfinite(number), number


def _word(kind: Any) -> str:
    origin = get_origin(kind) or kind
    if origin is Literal:
        return "one of " + ", ".join(get_args(kind))
    if origin is Mapping:
        return "names with values"
    return "a list" if origin is Sequence else WORDS[kind]
