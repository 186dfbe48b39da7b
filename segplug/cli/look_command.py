"""`segplug look`."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command
from yoloplug.look import FORMATS, KINDS

EXAMPLE = "segplug look best.ckpt wall.jpg; then: segplug look best.ckpt wall.jpg --layer decoder.fusions.2"


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "Look into a network at work on a photo: LayerCAM, gates, features. Without --layer: what there is to see."
    p = add_command(commands, "look", about, EXAMPLE)
    p.add_argument("checkpoint", type=Path, help="last.ckpt or best.ckpt of a run")
    p.add_argument("image", type=Path, help="photo of any size")
    p.add_argument("--layer", metavar="NAME", help="a layer and all blocks in it")
    p.add_argument("--what", choices=KINDS, help="one view only; without: all that the layer has")
    p.add_argument("--out", type=Path, default=Path("look"), metavar="DIR", help="folder for the pictures")
    p.add_argument("--format", choices=FORMATS, default="png", help="of the pictures")
    p.add_argument("--save-arrays", action="store_true", help="also write the numbers, .npz beside each picture")
    p.add_argument("--threshold", type=float, default=0.5, help="probability from which a pixel is crack")
    p.add_argument(
        "--crop", type=int, nargs=4, metavar=("LEFT", "TOP", "WIDTH", "HEIGHT"), help="part of the photo to look at, px"
    )
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from segplug.look import Inspection

    look = Inspection(args.checkpoint, args.image, args.threshold, args.crop and tuple(args.crop), args.device)
    if args.layer is None and args.what != "cam":
        print(look.summary())
        return
    for file in look.draw(args.out, args.layer, args.what, args.format, args.save_arrays):
        print(f"wrote {file}")
