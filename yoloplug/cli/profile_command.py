"""`yoloplug profile A.yaml B.yaml`: whole models side by side, and each of our blocks beside a plain Conv."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from yoloplug.errors import YoloplugError
from yoloplug.terminal import printable

__all__ = ["TRUST", "add_arguments", "run"]

TRUST = "read checkpoints that name more than layers: whoever made them may run any code here"
_DRAWN = (".png", ".svg", ".pdf")


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
    if not args.models and not args.blocks:
        raise YoloplugError("profile needs a model, e.g. yoloplug profile yolov8n.yaml, or --blocks")
    for file in (args.csv, args.plot):
        if file is not None and not file.parent.is_dir():
            raise YoloplugError(f"{file}: no such folder {file.parent}")
        if file is not None and not os.access(file if file.exists() else file.parent, os.W_OK):
            raise YoloplugError(f"{file}: not writable")
    if args.plot is not None and args.plot.suffix not in _DRAWN:
        raise YoloplugError(
            f"{args.plot}: cannot draw {args.plot.suffix or 'without a suffix'}; use {', '.join(_DRAWN)}"
        )
    import torch

    from yoloplug.bridge.model import load
    from yoloplug.cost.blocks import block_costs, blocks_in, lone_seat
    from yoloplug.cost.models import model_costs
    from yoloplug.cost.report import block_table, model_table, save_chart, write_tables
    from yoloplug.cost.timing import TimingProtocol
    from yoloplug.modelfile.check import check
    from yoloplug.registry import BLOCKS

    protocol = TimingProtocol(args.imgsz, args.batch, args.device, args.threads, args.runs)
    if protocol.threads:
        torch.set_num_threads(protocol.threads)
    for file in args.models:
        if not file.endswith(".pt"):
            check(file, args.imgsz)  # its messages say row, line and remedy
    models = {file: load(file, args.trust) for file in args.models}
    print(f"{protocol}\n")
    costs = model_costs(models, protocol) if models else []
    if costs:
        print(printable(model_table(costs, protocol.imgsz)) + "\n")
    if args.blocks:
        seats = [lone_seat(name, 64, max(1, args.imgsz // 8), args.batch) for name in sorted(BLOCKS, key=str.lower)]
    else:
        images = torch.rand(args.batch, 3, args.imgsz, args.imgsz)
        seats = [seat for model in models.values() for seat in blocks_in(model, images)]
    blocks = block_costs(seats, protocol)
    if blocks:
        print(block_table(blocks))
        print("each against a 3x3 Conv-BatchNorm-SiLU of its shape, the two taking turns")
    written = [] if args.csv is None else write_tables(args.csv, costs, blocks, protocol)
    if args.plot is not None:
        save_chart(args.plot, costs, blocks, protocol)
        written.append(args.plot)
    for file in written:
        print(printable(f"wrote {file}"))
