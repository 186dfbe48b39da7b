"""What the subcommands share: their parser's form, and notes on stderr."""

from __future__ import annotations

import argparse
import sys
from typing import Any

__all__ = ["add_command", "note"]


def add_command(commands: Any, name: str, about: str, example: str) -> argparse.ArgumentParser:
    """A subparser whose help shows the defaults and ends with `example`."""
    return commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example: {example}",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def note(text: str) -> None:
    """One line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)
