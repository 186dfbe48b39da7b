"""`yoloplug look`: its arguments and its answer."""

from __future__ import annotations

import argparse
from pathlib import Path

from yoloplug.cli.profile_command import TRUST
from yoloplug.look import FORMATS, KINDS
from yoloplug.names import printable

ABOUT = "look into a trained model at work on an image: class heat maps, gates, offsets, features"
EXAMPLE = "yoloplug look best.pt photo.jpg; then: yoloplug look best.pt photo.jpg --block 4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL.pt", help="checkpoint of `yolo train`, any task")
    parser.add_argument("image", type=Path, metavar="IMAGE", help="image of any size")
    parser.add_argument(
        "--block",
        type=int,
        nargs="+",
        default=[],
        metavar="ROW",
        help="rows of the model YAML, as `yoloplug check` counts",
    )
    parser.add_argument("--what", choices=KINDS, help="one view only (default: all that the row has)")
    parser.add_argument(
        "--class", dest="label", metavar="NAME", help="class that heat maps explain (default: all found)"
    )
    parser.add_argument(
        "--at", type=place, action="append", default=[], metavar="X,Y", help="place for offsets, image px; repeatable"
    )
    parser.add_argument("--out", type=Path, default=Path("look"), metavar="DIR", help="folder (default look)")
    parser.add_argument("--format", choices=FORMATS, default="png", help="of the pictures (default png)")
    parser.add_argument("--save-arrays", action="store_true", help="also write the numbers, .npz beside each picture")
    parser.add_argument("--imgsz", type=int, metavar="PIXELS", help="default: as the checkpoint was trained")
    parser.add_argument(
        "--conf", type=float, default=0.25, help="confidence of what is drawn and explained (default .25)"
    )
    parser.add_argument("--top", type=int, default=16, help="predictions that a heat map explains at most (default 16)")
    parser.add_argument("--trust", action="store_true", help=TRUST)
    parser.add_argument("--device", help="cpu, 0, … (default: Ultralytics' choice)")


def place(text: str) -> tuple[float, float]:
    """X,Y in pixels."""
    try:
        x, y = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y in pixels, e.g. 120,80") from None
    return x, y


def run(args: argparse.Namespace) -> None:
    """Write pictures, or without a row list the rows. Raises YoloplugError for missing files and wrong names."""
    from yoloplug.bridge.look.inspection import Inspection

    inspection = Inspection(args.model, args.image, args.imgsz, args.conf, args.device, args.top, args.trust)
    if not args.block and args.what != "cam":
        print(printable(inspection.summary()))
        return
    for file in inspection.draw(args.out, args.block, args.what, args.label, args.at, args.format, args.save_arrays):
        print(printable(f"wrote {file}"))
