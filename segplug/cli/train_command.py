"""`segplug train`: every field of TrainConfig is a flag and a key of the config file; flags win."""

from __future__ import annotations

import argparse
import json
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from segplug.cli.command import add_command
from segplug.config import TrainConfig
from segplug.config_file import read_settings
from segplug.errors import SegplugError

__all__ = ["add"]

EXAMPLE = "segplug train --data data/deepcrack --model gbcnet --decoder-block GBC --epochs 50"


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    p = add_command(commands, "train", "Train a network on photos and crack masks.", EXAMPLE)
    p.add_argument(
        "--config",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="YAML or JSON with the settings below as keys (val_split: 0.2), such as the config.json of an earlier run",
    )
    hints = get_type_hints(TrainConfig)
    groups = {
        name: p.add_argument_group(name) for name in dict.fromkeys(f.metadata["group"] for f in fields(TrainConfig))
    }
    for f in fields(TrainConfig):
        _add_flag(groups[f.metadata["group"]], f, hints[f.name])
    groups["model"].add_argument(
        "--decoder-block",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="short for --option block=NAME: a block of `yoloplug blocks` in gbcnet's decoder, such as gnConv, SCConv, "
        "DCNv2 (default: GBC)",
    )
    p.set_defaults(run=_run)


def _add_flag(group: Any, f: Field, hint: Any) -> None:
    # An absent flag leaves no attribute, so that the config file's value stands.
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


def _run(args: argparse.Namespace) -> None:
    from segplug.train import train

    settings = read_settings(args.config) if "config" in args else {}
    given = {f.name: getattr(args, f.name) for f in fields(TrainConfig) if hasattr(args, f.name)}
    if "decoder_block" in args:
        given["options"] = [*given.get("options", []), ("block", args.decoder_block)]
    if "options" in given:
        given["options"] = {**settings.get("options", {}), **dict(given["options"])}
    settings.update(given)
    if "data" not in settings:
        raise SegplugError("no data: give --data DIR, or a line `data: DIR` in the config file")
    out = train(TrainConfig(**settings))
    print(f"checkpoints, metrics.csv, results.png and config.json are in {out}")


def _option(text: str) -> tuple[str, Any]:
    """NAME=VALUE -> (name, value); VALUE is JSON where it parses, else text."""
    name, found, value = text.partition("=")
    if not found or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
