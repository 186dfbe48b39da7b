"""`yoloplug swap`: its arguments and its answer."""

from __future__ import annotations

import argparse
from typing import Any

from yoloplug.names import printable

ABOUT = "put blocks into a model YAML, replacing rows or inserting them, at its budget if wished"
EXAMPLE = "yoloplug swap yolov8n.yaml C2f=C2f_gnConv --where backbone --match params -o yolov8-gn.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.yaml", help="stock or yours, with its scale letter: yolov8n.yaml")
    parser.add_argument("pairs", nargs="*", metavar="OLD=NEW", help="C2f=C2f_gnConv, Conv=DCNv2; several at once")
    parser.add_argument(
        "--insert",
        action="append",
        default=[],
        metavar="BLOCK",
        help="a new row: SCConv, 'gnConv[256, 5, 1, {order: 3}]'",
    )
    parser.add_argument(
        "--after", action="append", default=[], metavar="N|P3", help="behind row N or level P3, one for each --insert"
    )
    parser.add_argument("--where", default="all", help="backbone, neck, all, P3,P4 or row numbers 4,6 (default all)")
    parser.add_argument("--options", default="{}", metavar="YAML", help="'{order: 3}', or '{C2f_gnConv: {order: 3}}'")
    parser.add_argument("--match", choices=["params", "flops"], help="find the width of the stock model's budget")
    parser.add_argument("--imgsz", type=int, default=640, metavar="PIXELS", help="for FLOPs and levels (default 640)")
    parser.add_argument("--force", action="store_true", help="overwrite; take the nearest match beyond 2 %%")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.yaml", help="the new model YAML")


def run(args: argparse.Namespace) -> None:
    """Write the new file and print its cost beside the stock model's. Raises ModelFileError."""
    from yoloplug.modelfile.swapped import swap

    done = swap(
        args.model,
        _pairs(args.pairs),
        args.where,
        _options(args.options),
        args.match,
        args.imgsz,
        args.output,
        args.force,
        _insertions(args.insert, args.after),
    )
    print(printable("\n".join([*(f"{args.output}: {change}" for change in done.changes), "", str(done)])))


def _pairs(words: list[str]) -> dict[str, str]:
    from yoloplug.modelfile.file import ModelFileError

    pairs: dict[str, str] = {}
    for word in words:
        left, equals, right = word.partition("=")
        if not (left and equals and right):
            raise ModelFileError(f"{word!r} is not a pair OLD=NEW such as C2f=C2f_gnConv")
        if left in pairs:
            raise ModelFileError(f"{left} is replaced twice, by {pairs[left]} and by {right}")
        pairs[left] = right
    return pairs


def _insertions(blocks: list[str], places: list[str]) -> list[tuple[str, int | str]]:
    from yoloplug.modelfile.file import ModelFileError

    if len(blocks) != len(places):
        raise ModelFileError(
            f"{len(blocks)} --insert and {len(places)} --after; each new row needs its place: --insert X --after P3"
        )
    return list(zip(blocks, places, strict=True))


def _options(text: str) -> dict[str, Any]:
    import yaml

    from yoloplug.modelfile.file import ModelFileError

    try:
        options = yaml.safe_load(text)
    except yaml.YAMLError:
        options = None
    if not isinstance(options, dict):
        raise ModelFileError(f"--options {text!r} is not a YAML mapping such as '{{order: 3}}'")
    return options
