"""What the subcommands share: their parser's form, and notes on stderr."""

import argparse
import sys
from typing import Any

from yoloplug.names import printable
from yoloplug.terminal import add_debug

__all__ = ["add_command", "note"]


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


def note(text: str) -> None:
    """One line on stderr, at once."""
    print(printable(text), file=sys.stderr, flush=True)
