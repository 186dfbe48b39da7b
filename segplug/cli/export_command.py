"""`segplug export`."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command, called, numbers

EXAMPLE = "segplug export runs/segplug/gbcnet/best.ckpt --format onnx --out cracks.onnx"


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "Write a trained network as one file for other programs, checked against the checkpoint."
    p = add_command(commands, "export", about, EXAMPLE)
    p.add_argument("checkpoint", type=Path, nargs="+", help="last.ckpt or best.ckpt of a run; of several runs that "
                   "went on from one checkpoint: the mean of their weights")  # fmt: skip
    p.add_argument("--format", choices=["onnx", "torchscript", "exported", "half"], default="onnx",
                   help="exported: .pt2; half: a checkpoint of half the size, with its threshold")  # fmt: skip
    p.add_argument("--out", type=Path, help="file to write; without: the checkpoint's name with another suffix")
    p.add_argument("--opset", type=int, default=18, help="ONNX operator set")
    p.add_argument("--threshold", type=float, default=0.5, help="stored: probability from which a pixel is crack")
    p.add_argument("--scales", type=numbers, default="1", metavar="FACTORS",
                   help="stored with format half: sizes that predict averages over, such as 1,0.5")  # fmt: skip
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from segplug.inference.export import export_model

    done = called(export_model, args)
    for (n, height, width), difference in zip(done.sizes, done.difference, strict=True):
        print(f"{n} x {width}x{height}: probabilities differ by at most {difference:.1e} from the checkpoint's")
    size = "any" if done.size_multiple_px == 1 else f"a multiple of {done.size_multiple_px} px (predict pads)"
    print(f"{done.path} takes any batch; height and width: {size}")
