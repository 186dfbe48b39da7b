"""`segplug eval`."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command, add_flags, called, given_flags, note, numbers
from segplug.data.source import DataSource
from segplug.errors import SegplugError

EXAMPLE = "segplug eval runs/segplug/gbcnet/best.ckpt --data data/deepcrack --out scores"


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "Score a checkpoint, or a folder of predictions, on whole images and print every metric."
    p = add_command(commands, "eval", about, EXAMPLE)
    p.add_argument("checkpoint", type=Path, nargs="?", help="best.ckpt of a run, or a model's name (segplug models)")
    p.add_argument("--predictions", type=Path, help="instead of a checkpoint: folder of masks or probability maps")
    p.add_argument("--split", default="test", help="train, val, test; all for a folder without splits")
    p.add_argument("--threshold", type=_threshold, default=0.5, help="probability from which a pixel is crack, or auto")
    p.add_argument("--threshold-from", default="val", help="split that --threshold auto is chosen on; never the scored")
    p.add_argument("--out", type=Path, help="folder for JSON, CSV and pictures of the worst images, or a .json file")
    p.add_argument("--worst", type=int, default=8, help="pictures of the images of lowest IoU")
    p.add_argument("--exclude", type=Path, help="text file of image names that a second column of scores leaves out")
    p.add_argument("--tile", type=int, default=2048, help="larger images are cut into overlapping tiles of this side")
    p.add_argument(
        "--scales",
        type=numbers,
        metavar="FACTORS",
        help="average over the image at these sizes, such as 1,0.5; without: the model's own, 1",
    )
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    add_flags(p, DataSource, leave_out=("source_rule", "groups"))
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from segplug.evaluation.run import evaluate, evaluate_predictions
    from segplug.evaluation.score_files import score_table

    if (args.checkpoint is None) == (args.predictions is None):
        raise SegplugError("name either a checkpoint or --predictions DIR")
    if "data" not in args:
        raise SegplugError("no data: give --data DIR")
    data = DataSource(**given_flags(args, DataSource))
    if args.predictions is not None and args.threshold == "auto":
        raise SegplugError(
            "--threshold auto needs a checkpoint; score the predictions of the validation split first and give its "
            "ods_threshold as --threshold"
        )
    score = evaluate if args.predictions is None else evaluate_predictions
    result = called(score, args, data=data, note=note)
    print(
        f"{result['images']} images of {args.data}, split {args.split}, threshold {result['threshold']:g} "
        f"({result['threshold_from']})"
    )
    if "without" in result:
        without = result["without"]
        print(
            f"first column: all {result['images']} images; second: {without['images']}, without the "
            f"{len(without['excluded'])} that {without['file']} lists"
        )
    print(score_table(result))
    if args.out is not None:
        print(f"written to {args.out}")


def _threshold(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto") from error
