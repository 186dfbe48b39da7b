"""The `segplug` command: one module a subcommand. A mistake the user can cure ends in one line and exit code 2."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

from segplug.errors import SegplugError
from yoloplug.terminal import run

__all__ = ["main"]

COMMANDS = ("check", "draw", "train", "eval", "predict", "measure", "look", "export", "models")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(prog="segplug", description="Train, score and use crack segmentation networks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{" + ",".join(COMMANDS) + "}")
    for name in COMMANDS:
        import_module(f"segplug.cli.{name}_command").add(commands)
    typed = list(sys.argv[1:] if argv is None else argv)
    args = parser.parse_args(typed)
    advice = ""
    if args.goes_on is not None:
        again = [*typed, *(flag for flag in args.goes_on if flag not in typed)]
        advice = f"; what is finished is kept, go on with: {shlex.join(['segplug', *again])}"
    return run(f"segplug {args.command}", lambda: args.run(args), (SegplugError, OSError), args.debug, advice)
