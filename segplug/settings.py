"""Settings as frozen dataclasses: every value checked against its annotation and range, with a message to act on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, field, fields
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from segplug.errors import SegplugError
from yoloplug.names import choices, did_you_mean

T = TypeVar("T")
REQUIRED = MISSING
Key = tuple[str | int, ...]
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "none"}
_SHOWN = 60  # characters of a wrong value


class SettingError(SegplugError):
    """`problem`: what is wrong with the setting `key`, and the remedy. `path`, `line`: where it is written down."""

    link = " "  # between the key and the problem

    def __init__(self, problem: str, key: Key = (), path: Path | None = None, line: int | None = None) -> None:
        place = ":".join(str(part) for part in (path, line) if part is not None)
        name = ".".join(map(str, key))
        super().__init__(f"{place}{': ' if place else ''}{name}{self.link if name else ''}{problem}", key=key)
        self.problem, self.path, self.line = problem, path, line


class Settings:
    """Base of frozen dataclasses of settings. Raises SettingError on a value of the wrong type or out of its range.

    `shorthand`: the field that a bare text stands for, where a mapping is wanted.
    """

    shorthand: ClassVar[str] = ""

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for f in fields(kind):
            value = typed(f.name, getattr(self, f.name), _hints(kind)[f.name])
            object.__setattr__(self, f.name, value)
            low, high = f.metadata.get("range", (-math.inf, math.inf))
            if isinstance(value, (int, float)) and not low <= value <= high:
                limit = f"at least {low}" if value < low else f"at most {high}"
                raise SettingError(f"must be {limit}, got {_shown(value)}", (f.name,))


def number(low: float, high: float, default: Any = MISSING) -> Any:
    """A field whose value lies from `low` to `high`."""
    return field(default=default, metadata={"range": (low, high)})


def setting(default: Any, group: str, text: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """A field that is a flag too, with the help `text` among those of `group`. default: REQUIRED, or list or dict."""
    about = {"group": group, "help": text, "range": (low, high)}
    if default in (list, dict):
        return field(default_factory=default, metadata=about)
    return field(default=default, metadata=about)


def require(holds: bool, name: str, wanted: str, value: object) -> None:
    """Raise SettingError unless the value of this setting is as it must be."""
    if not holds:
        raise SettingError(f"must be {wanted}, got {_shown(value)}", (name,))


def typed(name: str | Key, value: Any, hint: Any) -> Any:
    """`value` as the type `hint` says.

    Of int, float, str, bool, a Literal of texts, Mapping, Sequence, dict[str, …], tuple[…, ...] (of a list that is not
    empty), a class of Settings, Any, or a union. A number written as text counts for a float, a whole number for a
    float or a Literal ("32"), a Path for text. Raises SettingError that names setting, wanted type and value.
    """
    key = (name,) if isinstance(name, str) else name
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        fits, result = _fit(value, kind, key)
        if fits:
            return result
    hint = "; write it in quotes" if kinds == (str,) and isinstance(value, (int, float)) else ""
    for kind in kinds:
        hint += did_you_mean(value, get_args(kind)) if get_origin(kind) is Literal else ""
    raise SettingError(f"must be {' or '.join(map(_word, kinds))}, got {_shown(value)}{hint}", key)


def build(cls: type[T], values: Any, key: Key = ()) -> T:
    """The settings class from a mapping. Raises SettingError on an unknown key (the nearest one named) or a missing."""
    if (shorthand := getattr(cls, "shorthand", "")) and isinstance(values, str):
        values = {shorthand: values}
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    if not isinstance(values, Mapping):
        raise SettingError(f"must be a mapping with {', '.join(known)}, got {_shown(values)}", key)
    for name in values:
        if name not in known:
            raise SettingError(f"is no setting here{choices(name, known)}", (*key, _shown(name, quote=False)))
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise SettingError("is missing", (*key, name))
    try:
        return cls(**values)
    except SettingError as error:
        raise SettingError(error.problem, (*key, *error.key)) from error


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _fit(value: Any, kind: Any, key: Key) -> tuple[bool, Any]:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return True, value
    if origin is Literal:
        return str(value) in inner, str(value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(isinstance(name, str) for name in value), value
    if origin is dict:
        if not isinstance(value, Mapping):
            return False, value
        return True, {str(name): typed((*key, str(name)), item, inner[1]) for name, item in value.items()}
    if origin is tuple:
        if not isinstance(value, (list, tuple)) or value == []:
            return False, value
        return True, tuple(typed((*key, index), item, inner[0]) for index, item in enumerate(value))
    if origin is Sequence:
        return isinstance(value, Sequence) and not isinstance(value, str), value
    if issubclass(kind, Settings):
        return True, value if isinstance(value, kind) else build(kind, value, key)
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
        found = float(value)
    except (ValueError, OverflowError):
        return False, math.nan
    return math.isfinite(found), found


def _word(kind: Any) -> str:
    origin = get_origin(kind) or kind
    if origin is Literal:
        return "one of " + ", ".join(get_args(kind))
    if origin in (Mapping, dict):
        return "names with values"
    if origin is tuple:
        return "a list with at least one item"
    return "a list" if origin is Sequence else _WORDS[kind]


def _shown(value: object, quote: bool = True) -> str:
    """Of a long value its beginning; a number of thousands of digits by their count."""
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return f"a number of about {int(value.bit_length() * math.log10(2)) + 1} digits"
    text = repr(value) if quote or not isinstance(value, str) else value
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
