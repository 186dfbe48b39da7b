"""Dataclass fields as flags: the field's metadata is the help, its annotation the type."""

import argparse
import json
from dataclasses import MISSING, Field, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["add_flags", "given_flags", "numbers"]


def add_flags(parser: argparse.ArgumentParser, settings: type, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """Add a flag for each field of the dataclass; returns the argument groups by name.

    An absent flag leaves no attribute, so that a config file's value or the default stands.
    """
    hints = get_type_hints(settings)
    chosen = [f for f in fields(settings) if f.name not in leave_out]
    groups = {name: parser.add_argument_group(name) for name in dict.fromkeys(f.metadata["group"] for f in chosen)}
    for f in chosen:
        _add_flag(groups[f.metadata["group"]], f, hints[f.name])
    return groups


def given_flags(args: argparse.Namespace, settings: type) -> dict[str, Any]:
    """Field name -> value of the flags that were typed."""
    return {f.name: getattr(args, f.name) for f in fields(settings) if hasattr(args, f.name)}


def _add_flag(group: Any, f: Field, hint: Any) -> None:
    flag, about = "--" + f.name.replace("_", "-"), f.metadata["help"]
    if f.name == "options":
        group.add_argument("--option", dest="options", action="append", default=argparse.SUPPRESS, type=_option,
                           metavar="NAME=VALUE", help=f"{about}; JSON or text; repeatable")  # fmt: skip
        return
    default = "" if f.default is MISSING or f.default is None else f" (default: {f.default})"
    about = (about + default).replace("%", "%%")
    if hint is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=about)
    elif get_origin(hint) is Literal:
        group.add_argument(flag, choices=get_args(hint), default=argparse.SUPPRESS, help=about)
    else:
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        kind = next(k for k in kinds if k in (int, float, str))
        convert = _or_none(kind) if type(None) in kinds else kind
        group.add_argument(flag, type=convert, default=argparse.SUPPRESS, help=about, metavar=kind.__name__.upper())


def _or_none(kind: type) -> Any:
    def convert(text: str) -> Any:
        return None if text.lower() == "none" else kind(text)

    convert.__name__ = kind.__name__  # argparse's message: invalid int value
    return convert


def _option(text: str) -> tuple[str, Any]:
    """NAME=VALUE -> (name, value); VALUE is JSON where it parses, else text."""
    name, found, value = text.partition("=")
    if not found or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def numbers(text: str) -> tuple[float, ...]:
    """ "1,0.5" as an argument's type."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,0.5") from error
