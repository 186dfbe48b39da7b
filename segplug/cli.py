"""`segplug train | eval | predict | models`. A mistake the user can cure ends in one line and exit code 2."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from segplug.config import Precision, TrainConfig
from segplug.errors import SegplugError

__all__ = ["main"]

TRAIN_EXAMPLE = "segplug train --data data/deepcrack --model gbcnet --encoder tu-mobilenetv3_large_100 --epochs 50"
EVAL_EXAMPLE = "segplug eval runs/segplug/gbcnet/best.ckpt --data data/deepcrack"
PREDICT_EXAMPLE = "segplug predict runs/segplug/gbcnet/best.ckpt --source photos --out found"
MODELS_EXAMPLE = "segplug models"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(prog="segplug", description="Train, score and use crack segmentation networks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{train,eval,predict,models}")
    for add in (_add_train, _add_eval, _add_predict, _add_models):
        add(commands)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except (SegplugError, OSError) as error:
        print(f"segplug {args.command}: {error}", file=sys.stderr)
        return 2
    return 0


def _command(commands: Any, name: str, about: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example: {example}",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def _add_train(commands: Any) -> None:
    defaults = {f.name: f.default for f in fields(TrainConfig)}
    p = _command(commands, "train", "Train a network on images/ + masks/.", TRAIN_EXAMPLE)
    p.add_argument(
        "--data", required=True, help="folder with images/ + masks/, or with train, val, test splits of them"
    )
    p.add_argument("--model", default=defaults["model"], help="see `segplug models`")
    p.add_argument("--encoder", default=defaults["encoder"], help="smp encoder, or tu-<timm model>")
    p.add_argument("--encoder-weights", default=None, help="pretrained set to download, such as imagenet")
    p.add_argument("--option", dest="options", action="append", default=[], type=_option, metavar="NAME=VALUE",
                   help="further argument of the architecture, JSON or text; repeatable")  # fmt: skip
    p.add_argument("--epochs", type=int, default=defaults["epochs"], help="passes over the training images")
    p.add_argument("--batch", type=int, default=defaults["batch"], help="crops a step")
    p.add_argument("--crop", type=int, default=defaults["crop"], help="side of a training crop in pixels")
    p.add_argument("--lr", type=float, default=defaults["lr"], help="peak learning rate")
    p.add_argument("--weight-decay", type=float, default=defaults["weight_decay"], help="AdamW weight decay")
    p.add_argument("--warmup-epochs", type=float, default=defaults["warmup_epochs"], help="epochs of rising rate")
    p.add_argument("--seed", type=int, default=defaults["seed"], help="weights, order, crops, validation split")
    p.add_argument("--val-split", type=float, default=defaults["val_split"], help="held-out share without a val split")
    p.add_argument(
        "--source-rule",
        help="regular expression whose first group names a crop's source photo,"
        r" which then stays on one side of the validation split: (.+?)(?:-\d+)?$",
    )
    p.add_argument("--out", default=defaults["out"], help="folder for checkpoints and metrics.csv")
    p.add_argument("--workers", type=int, default=defaults["workers"], help="loader processes")
    p.add_argument("--device", default=defaults["device"], help="auto, cpu, cuda, cuda:1, mps")
    p.add_argument("--precision", default=defaults["precision"], choices=get_args(Precision), help="arithmetic")
    p.add_argument("--resume", action="store_true", help="continue the run in --out")
    p.set_defaults(run=_train)


def _add_eval(commands: Any) -> None:
    p = _command(commands, "eval", "Score a checkpoint on whole images and print its metrics.", EVAL_EXAMPLE)
    p.add_argument("checkpoint", type=Path, help="last.ckpt or best.ckpt of a run")
    p.add_argument("--data", type=Path, required=True, help="data folder, as for training")
    p.add_argument("--split", default="test", help="train, val, test; all for a folder without splits")
    p.add_argument("--threshold", type=float, default=0.5, help="probability from which a pixel is crack")
    p.add_argument("--out", type=Path, help="JSON file with metrics and a row for every image")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    p.set_defaults(run=_eval)


def _add_predict(commands: Any) -> None:
    p = _command(commands, "predict", "Write crack masks and overlays for photos of any size.", PREDICT_EXAMPLE)
    p.add_argument("checkpoint", type=Path, help="last.ckpt or best.ckpt of a run")
    p.add_argument("--source", type=Path, required=True, help="image file or folder of images")
    p.add_argument("--out", type=Path, required=True, help="folder that gets masks/ and overlays/")
    p.add_argument("--threshold", type=float, default=0.5, help="probability from which a pixel is crack")
    p.add_argument("--tile", type=int, default=1024, help="larger images are cut into overlapping tiles of this side")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    p.set_defaults(run=_predict)


def _add_models(commands: Any) -> None:
    p = _command(commands, "models", "List architectures, and the encoders that contain a word.", MODELS_EXAMPLE)
    p.add_argument("--encoders", metavar="WORD", help="list the encoders whose name contains WORD")
    p.set_defaults(run=_models)


def _train(args: argparse.Namespace) -> None:
    from segplug.train import train

    settings = {f.name: getattr(args, f.name) for f in fields(TrainConfig)}
    out = train(TrainConfig(**{**settings, "options": dict(args.options)}))
    print(f"checkpoints, metrics.csv and config.json are in {out}")


def _eval(args: argparse.Namespace) -> None:
    from segplug.evaluate import evaluate

    result = evaluate(args.checkpoint, args.data, args.split, args.device, args.threshold, args.out, note=_note)
    print(f"{result['images']} images of {args.data}, split {args.split}, threshold {args.threshold}")
    for name, value in result["metrics"].items():
        print(f"{name:14} {value:.4f}")


def _predict(args: argparse.Namespace) -> None:
    from segplug.predict import predict

    rows = predict(args.checkpoint, args.source, args.out, args.threshold, args.tile, args.device, _note)
    print(f"{len(rows)} masks and overlays are in {args.out}")


def _models(args: argparse.Namespace) -> None:
    from segplug.models import MODELS, encoder_names

    if args.encoders is None:
        for name, cls in MODELS.items():
            print(f"{name:14} {cls.__module__}.{cls.__name__}")
        print("encoders: `segplug models --encoders WORD`, for example --encoders mobilenetv3")
        return
    found = [name for name in encoder_names() if args.encoders in name]
    if not found:
        raise SegplugError(f"no encoder name contains {args.encoders!r}")
    print("\n".join(found))


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _option(text: str) -> tuple[str, Any]:
    """NAME=VALUE -> (name, value); VALUE is JSON where it parses, else text."""
    name, found, value = text.partition("=")
    if not found or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
