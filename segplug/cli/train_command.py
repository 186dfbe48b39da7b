"""`segplug train`: every field of TrainConfig is a flag and a key of the config file; flags win."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command, add_flags, given_flags
from segplug.data.source import DataSource
from segplug.errors import SegplugError
from segplug.training.config import TrainConfig, read_settings

EXAMPLE = (
    "segplug train --data data/deepcrack --model gbcnet --decoder-block GBC --epochs 100 --schedule poly "
    '--loss "0.83*bce + 0.17*dice" --ema 0.999 --out runs/gbc; the same with another seed: '
    "segplug train --config runs/gbc/config.json --seed 1 --out runs/gbc1"
)


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    p = add_command(commands, "train", "Train a network on photos and crack masks.", EXAMPLE, ("--resume",))
    p.add_argument(
        "--config",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="YAML or JSON with the settings below as keys (val_split: 0.2), such as the config.json of an earlier run",
    )
    groups = add_flags(p, TrainConfig, leave_out=("data", "more_data"))
    groups["data"].add_argument(
        "--data",
        action="append",
        default=argparse.SUPPRESS,
        metavar="STR",
        help=f"{DataSource.__dataclass_fields__['data'].metadata['help']}; given again, several data sets at once",
    )
    groups["model"].add_argument(
        "--decoder-block",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="short for --option block=NAME: a block of `yoloplug blocks` in gbcnet's decoder, such as gnConv, SCConv, "
        "DCNv2 (default: GBC)",
    )
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    from segplug.training.run import train

    settings = read_settings(args.config) if "config" in args else {}
    given = {key: value for key, value in given_flags(args, TrainConfig).items() if key != "data"}
    if "decoder_block" in args:
        given["options"] = [*given.get("options", []), ("block", args.decoder_block)]
    if "options" in given:
        given["options"] = {**settings.get("options", {}), **dict(given["options"])}
    if "data" in args:
        given["data"], *given["more_data"] = args.data
    settings.update(given)
    if "data" not in settings:
        raise SegplugError("no data: give --data DIR, or a line `data: DIR` in the config file")
    out = train(TrainConfig(**settings))
    rank_zero_only(print)(f"checkpoints, metrics.csv, results.png and config.json are in {out}")
