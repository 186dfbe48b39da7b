"""`yoloplug profile A.yaml B.yaml`: whole models side by side, and each of our blocks beside a plain Conv."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from yoloplug.errors import YoloplugError
from yoloplug.names import printable

TRUST = "read checkpoints that name more than layers: whoever made them may run any code here"
_DRAWN = (".png", ".svg", ".pdf")

ABOUT = "what models and blocks cost: parameters, FLOPs, latency, training step, memory"
EXAMPLE = "yoloplug profile yolov8n.yaml yolov8n-C2f_gnConv.yaml --imgsz 640 --plot cost.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="model YAMLs (yolov8n.yaml) or checkpoints (.pt)")
    parser.add_argument("--imgsz", type=int, default=640, help="side of the square image, pixels (default 640)")
    parser.add_argument("--batch", type=int, default=1, help="images a pass (default 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: torch's choice)")
    parser.add_argument("--runs", type=int, default=50, help="timed forward passes; a fifth as many training steps")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write FILE and, of the blocks, FILE-blocks.csv")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw bars into FILE (.png, .svg, .pdf)")
    parser.add_argument("--trust", action="store_true", help=TRUST)
    parser.add_argument(
        "--blocks", action="store_true", help="every block alone at 64 channels, not those of the models"
    )


def run(args: argparse.Namespace) -> None:
    """Raises YoloplugError for an unknown model or folder, a wrong number and a wrong model file."""
    for file in (args.csv, args.plot):
        if file is not None and not file.parent.is_dir():
            raise YoloplugError(f"{file}: no such folder {file.parent}")
        if file is not None and not os.access(file if file.exists() else file.parent, os.W_OK):
            raise YoloplugError(f"{file}: not writable")
    if args.plot is not None and args.plot.suffix not in _DRAWN:
        raise YoloplugError(
            f"{args.plot}: cannot draw {args.plot.suffix or 'without a suffix'}; use {', '.join(_DRAWN)}"
        )
    from yoloplug.cost.profiles import profile

    done = profile(
        *args.models,
        imgsz=args.imgsz,
        batch=args.batch,
        device=args.device,
        threads=args.threads,
        runs=args.runs,
        every_block=args.blocks,
        trust=args.trust,
        say=lambda text: print(printable(text), flush=True),
    )
    written = [] if args.csv is None else done.write_csv(args.csv)
    if args.plot is not None:
        done.save_chart(args.plot)
        written.append(args.plot)
    for file in written:
        print(printable(f"wrote {file}"))
