"""`segplug models`."""

from __future__ import annotations

import argparse
from typing import Any

from segplug.cli.command import add_command
from segplug.errors import SegplugError

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "List architectures, and the encoders that contain a word."
    p = add_command(commands, "models", about, "segplug models --encoders mobilenetv3")
    p.add_argument("--encoders", metavar="WORD", help="list the encoders whose name contains WORD")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from segplug.models import MODELS, encoder_names

    if args.encoders is None:
        for name, cls in MODELS.items():
            print(f"{name:14} {cls.__module__}.{cls.__name__}")
        print("encoders: `segplug models --encoders WORD`, for example --encoders mobilenetv3")
        return
    found = [name for name in encoder_names() if args.encoders in name]
    if not found:
        raise SegplugError(f"no encoder name contains {args.encoders!r}")
    print("\n".join(found))
