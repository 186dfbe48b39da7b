"""`yoloplug inspect`: its arguments and its answer."""

from __future__ import annotations

import argparse
from pathlib import Path

from yoloplug.names import printable

ABOUT = "what a checkpoint is: task, classes, scale, blocks, versions; no code of it is run"
EXAMPLE = "yoloplug inspect runs/detect/train/weights/best.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL.pt", help="checkpoint of `yolo train`; nothing of it is run")


def run(args: argparse.Namespace) -> int:
    """1 where this yoloplug lacks a block of the checkpoint, or where it names code that no model needs."""
    from yoloplug.bridge.checkpoints.description import describe
    from yoloplug.cli.listing import host_names
    from yoloplug.version import __version__

    found = describe(args.model)
    lines = [str(found)]
    known = host_names()
    if missing := [name for name in found.ours if name not in known]:
        version = found.made.get("yoloplug", "")
        newer = "a newer one may: pip install -U yoloplug"
        lines += [
            f"missing  {', '.join(missing)}: not in yoloplug {__version__}, "
            + (
                f"yoloplug {version} has: pip install 'yoloplug=={version}'"
                if version not in ("", __version__)
                else newer
            ),
            "         a block of your own: import the module that registers it before you load the file",
        ]
    if found.foreign:
        named = ", ".join(found.foreign[:5])
        lines.append(
            f"careful  it names {named}, no layer of torch, Ultralytics or yoloplug: loading it may run any code"
        )
    print(printable("\n".join(lines)))
    return int(bool(missing or found.foreign))
