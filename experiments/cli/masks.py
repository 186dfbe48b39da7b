"""`python -m experiments masks`: crack data for Ultralytics' own tasks, and masks out of the models that they train."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command, add_flags, given_flags
from segplug.data.source import DataSource
from yoloplug.names import printable


def add(commands: Any) -> None:
    command = commands.add_parser(
        "masks",
        help="Ultralytics' segmentation as a baseline: data in its layout, masks out of its models",
        epilog="example: python -m experiments masks data --data cracks/ --out yolo/",
    )
    parts = command.add_subparsers(required=True, metavar="data|predict", dest="part")
    me = "python -m experiments masks"
    data = add_command(parts, "data", "Write data in Ultralytics' layout.", f"{me} data --data cracks/ --out yolo/")
    data.add_argument("--val-split", type=float, default=0.1, help="share of train held out where there is no val")
    data.add_argument("--seed", type=int, default=0, help="of that share; segplug train's with the same seed")
    data.set_defaults(call=_data)
    found = add_command(parts, "predict", "Save a model's masks.", f"{me} predict best.pt --data cracks/ --out found/")
    found.add_argument("weights", type=Path, help="best.pt of `yolo semantic train` or `yolo segment train`")
    found.add_argument("--split", default="test", help="train, val, test; all for a folder without splits")
    found.add_argument("--conf", type=float, default=0.25, help="least confidence of an instance")
    found.add_argument("--imgsz", type=int, help="longer side that the network sees; without: as it was trained")
    found.add_argument("--device", help="cpu, 0, 0,1, mps; without: Ultralytics chooses")
    found.set_defaults(call=_predict)
    for part, leave_out in ((data, ()), (found, ("source_rule", "groups"))):
        part.add_argument("--out", type=Path, required=True, help="new folder")
        add_flags(part, DataSource, leave_out=leave_out)


def _data(given: argparse.Namespace) -> int:
    from experiments.trainers.yolo.masks import write_data

    print(printable(write_data(DataSource(**given_flags(given, DataSource)), given.out, given.val_split, given.seed)))
    return 0


def _predict(given: argparse.Namespace) -> int:
    from experiments.trainers.yolo.masks import predict

    source, options = DataSource(**given_flags(given, DataSource)), {"imgsz": given.imgsz} if given.imgsz else {}
    count = predict(given.weights, source, given.out, given.split, given.conf, device=given.device, **options)
    print(printable(f"masks of {count} images are in {given.out}"))
    return 0
