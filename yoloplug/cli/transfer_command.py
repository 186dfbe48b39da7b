"""`yoloplug transfer`: its arguments and its answer."""

from __future__ import annotations

import argparse
import sys

from yoloplug.cli.profile_command import TRUST

ABOUT = "weights of a trained model into a changed one, row by row; its function kept if wished"
EXAMPLE = "yoloplug transfer yolov8n.pt yolov8n-C2f_gnConv.yaml -o init.pt --preserve"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE.pt", help="trained checkpoint: yolov8n.pt, runs/…/best.pt")
    parser.add_argument("model", metavar="MODEL.yaml", help="the changed model: my.yaml, yolov8n-C2f_gnConv.yaml")
    parser.add_argument("-o", "--output", metavar="FILE.pt", help="checkpoint to start from; without it only the table")
    parser.add_argument(
        "--preserve", action="store_true", help="blocks start so that the model computes what the source computes"
    )
    parser.add_argument("--scale", metavar="LETTER", help="of MODEL.yaml (default: of its name, or the source's)")
    parser.add_argument("--force", action="store_true", help="overwrite FILE.pt")
    parser.add_argument("--trust", action="store_true", help=TRUST)


def run(args: argparse.Namespace) -> None:
    """Print row by row what was placed. Raises YoloplugError."""
    from yoloplug.bridge.transfer import transfer

    done = transfer(args.source, args.model, args.output, args.preserve, args.scale, args.trust, args.force)
    if sys.stdout.isatty():
        from rich.console import Console

        done.print(Console())
    else:
        print(done)
    if not args.preserve and done.fresh_blocks:
        print("--preserve lets these blocks start as the layer in whose place they stand")
