"""`segplug check`."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command, add_flags, given_flags, note
from segplug.data.source import DataSource
from segplug.errors import SegplugError
from yoloplug.names import printable

EXAMPLE = r"segplug check data/deepcrack --source-rule '(.+?)(?:-\d+)?$' --json check.json"


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "Read every image and label of a data set and say what to cure; exit code 1 when there is something."
    p = add_command(commands, "check", about, EXAMPLE)
    p.add_argument("data", help="what --data of train and eval takes")
    p.add_argument("--json", type=Path, metavar="FILE", help="write everything, with all file names, to this file")
    add_flags(p, DataSource, leave_out=("data",))
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from segplug.data.check import check
    from yoloplug.files import write_json

    if args.json is not None and args.json.is_dir():
        raise SegplugError(f"{args.json}: is a folder; name a file")
    result = check(DataSource(**given_flags(args, DataSource)), note)
    print(printable(result.text()))
    if args.json is not None:
        write_json(args.json, result.json())
        print(f"written to {args.json}")
    return 1 if result.findings else 0
