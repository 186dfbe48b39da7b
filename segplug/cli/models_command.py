"""`segplug models`."""

import argparse
from typing import Any

from segplug.cli.parser import add_command
from segplug.errors import SegplugError
from segplug.models.architectures import ARCHITECTURES, installed_encoders
from segplug.weights import DEFAULT, SHIPPED


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "List the trained models that come with the package, architectures and the encoders that contain a word."
    p = add_command(commands, "models", about, "segplug models --encoders mobilenetv3")
    p.add_argument("--encoders", metavar="WORD", help="list the encoders whose name contains WORD")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    if args.encoders is not None:
        found = [name for name in installed_encoders() if args.encoders in name]
        if not found:
            raise SegplugError(f"no encoder name contains {args.encoders!r}")
        print("\n".join(found))
        return
    print("ready to predict (--model of `segplug predict`):")
    for model in SHIPPED.values():
        chosen = " (default)" if model.name == DEFAULT else ""
        print(f"{model.name}{chosen}: {model.about}\n  licence: {model.licence}\n  card: {model.card}")
    print(f"{'--model':14} {'M parameters':>12}  {'default --encoder':25} paper")
    for name, row in ARCHITECTURES.items():
        print(f"{name:14} {row.parameters:12.2f}  {row.encoder or 'none: has its own':25} {row.paper}")
    print("encoders: `segplug models --encoders WORD`, for example --encoders hornet")
    print("blocks for gbcnet's decoder (--decoder-block): `yoloplug blocks`")
