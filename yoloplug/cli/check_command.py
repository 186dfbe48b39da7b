"""`yoloplug check`: its arguments and its answer."""

from __future__ import annotations

import argparse

from yoloplug.names import printable

ABOUT = "explain every row of a model YAML: channels, parameters, FLOPs; name its mistakes"
EXAMPLE = "yoloplug check yolov8n-C2f_gnConv.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.yaml", help="yours, a stock one or one of ours; with its scale letter")
    parser.add_argument("--imgsz", type=int, default=640, metavar="PIXELS", help="for FLOPs and levels (default 640)")


def run(args: argparse.Namespace) -> None:
    """Print the table of rows. Raises ModelFileError, which says what is wrong in which row and line."""
    from yoloplug.modelfile.report import check

    print(printable(check(args.model, args.imgsz)))
