"""`segplug models`."""

import argparse
from typing import Any

from segplug.cli.parsing.command import add_command
from segplug.errors import SegplugError
from segplug.weights import DEFAULT, SHIPPED

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "List the trained models that come with the package, architectures and the encoders that contain a word."
    p = add_command(commands, "models", about, "segplug models --encoders mobilenetv3")
    p.add_argument("--encoders", metavar="WORD", help="list the encoders whose name contains WORD")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from segplug.models.create import encoder_names

    if args.encoders is None:
        _list_shipped()
        _list_models()
        return
    found = [name for name in encoder_names() if args.encoders in name]
    if not found:
        raise SegplugError(f"no encoder name contains {args.encoders!r}")
    print("\n".join(found))


def _list_shipped() -> None:
    print("ready to predict (--model of `segplug predict`):")
    for model in SHIPPED.values():
        chosen = " (default)" if model.name == DEFAULT else ""
        print(f"{model.name}{chosen}: {model.about}\n  licence: {model.licence}\n  card: {model.card}")


def _list_models() -> None:
    """A row a model, its parameters counted on its default encoder without making their values."""
    import torch

    from segplug.models.create import MODELS, create_model, parameters

    print(f"{'--model':14} {'M parameters':>12}  {'default --encoder':25} paper")
    for name, cls in MODELS.items():
        with torch.device("meta"):
            millions = parameters(create_model(name)) / 1e6
        encoder = cls.default_encoder or "none: has its own"
        print(f"{name:14} {millions:12.2f}  {encoder:25} {cls.paper}", flush=True)
    print("encoders: `segplug models --encoders WORD`, for example --encoders hornet")
    print("blocks for gbcnet's decoder (--decoder-block): `yoloplug blocks`")
