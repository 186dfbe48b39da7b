"""`segplug draw`."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command, called, note


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "Draw photographs of cracks with exact masks, as training data without licence limits."
    p = add_command(commands, "draw", about, "segplug draw data/drawn --count 2000 --val 80")
    p.add_argument("out", type=Path, help="folder that gets train/images and train/masks")
    p.add_argument("--count", type=int, default=1000, help="scenes for training; what is there already is kept")
    p.add_argument("--val", type=int, default=0, help="further scenes in val/")
    p.add_argument("--seed", type=int, default=0, help="0 to 999; the same seed draws the same scenes")
    p.add_argument("--size", type=int, default=384, help="side of a scene in pixels")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from segplug.data.drawn import draw_folder

    out = called(draw_folder, args, note=note)
    print(f"{args.count} scenes for training and {args.val} for validation are in {out}")
