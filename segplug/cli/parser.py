"""What the subcommands share: their parser's form, dataclass fields as flags, arguments by name, notes on stderr."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from inspect import signature
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from yoloplug.names import printable
from yoloplug.terminal import add_debug

T = TypeVar("T")


def add_command(
    commands: Any, name: str, about: str, example: str, goes_on: tuple[str, ...] | None = None
) -> argparse.ArgumentParser:
    """A subparser whose help shows the defaults and ends with `example`.

    goes_on: the flags with which the same command line continues after it was stopped; None: it starts anew.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example: {example}",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_debug(parser)
    parser.set_defaults(goes_on=goes_on)
    return parser


def add_place_flags(parser: argparse.ArgumentParser, where: str) -> None:
    """--recursive, and --region of what is left out `where`."""
    parser.add_argument(
        "--recursive", action=argparse.BooleanOptionalAction, default=True, help="go into the sub-folders of a folder"
    )
    parser.add_argument(
        "--region",
        action="append",
        default=[],
        metavar="POLYGON",
        help=f'to leave out {where}, such as a kerb: corners in pixels, as "0,400 640,400 640,480", or a file of '
        "one polygon a line, or labelme's .json; repeatable",
    )


def called(function: Callable[..., T], args: argparse.Namespace, **more: Any) -> T:
    """What `function` returns for the arguments that bear its parameters' names, and for `more`."""
    named = {name: value for name, value in vars(args).items() if name in signature(function).parameters}
    return function(**{**named, **more})


def note(text: str) -> None:
    """One line on stderr, at once."""
    print(printable(text), file=sys.stderr, flush=True)


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
