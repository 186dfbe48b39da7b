"""`segplug predict`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.command import add_command, note

__all__ = ["add"]

EXAMPLE = "segplug predict runs/segplug/gbcnet/best.ckpt --source photos --out found"


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    p = add_command(commands, "predict", "Write crack masks and overlays for photos of any size.", EXAMPLE)
    p.add_argument("checkpoint", type=Path, help="last.ckpt or best.ckpt of a run")
    p.add_argument("--source", type=Path, required=True, help="image file or folder of images")
    p.add_argument("--out", type=Path, required=True, help="folder that gets masks/ and overlays/")
    p.add_argument("--threshold", type=float, default=0.5, help="probability from which a pixel is crack")
    p.add_argument("--tile", type=int, default=1024, help="larger images are cut into overlapping tiles of this side")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from segplug.predict import predict

    rows = predict(args.checkpoint, args.source, args.out, args.threshold, args.tile, args.device, note)
    print(f"{len(rows)} masks and overlays are in {args.out}")
