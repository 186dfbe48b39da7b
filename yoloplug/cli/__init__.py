"""`yoloplug`: what the plug-in offers. Listing needs no GPU, no data and changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from yoloplug.cli import (
    check_command,
    doctor_command,
    inspect_command,
    look_command,
    profile_command,
    swap_command,
    transfer_command,
)
from yoloplug.errors import YoloplugError
from yoloplug.files import WriteError
from yoloplug.terminal import add_debug, run

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. What the user can cure is one line on stderr and exit code 2."""
    args = _parser().parse_args(argv)
    return run("yoloplug", lambda: args.command(args), (YoloplugError, WriteError), args.debug)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="yoloplug",
        description="Research convolution blocks for unmodified Ultralytics.",
        epilog="example: yoloplug show gnConv; then: yolo detect train model=yolov8n-C2f_gnConv.yaml data=coco8.yaml",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text, example in (
        ("blocks", _blocks, "list the blocks: paper, kind, YAML names, constraints", "yoloplug blocks"),
        ("show", _show, "one block: options, mathematics, a YAML example", "yoloplug show DCNv2"),
        ("models", _models, "list the model YAMLs that come with yoloplug", "yoloplug models"),
        (
            "swap",
            swap_command.run,
            "put blocks into a model YAML, replacing rows or inserting them, at its budget if wished",
            "yoloplug swap yolov8n.yaml C2f=C2f_gnConv --where backbone --match params -o yolov8-gn.yaml",
        ),
        (
            "transfer",
            transfer_command.run,
            "weights of a trained model into a changed one, row by row; its function kept if wished",
            "yoloplug transfer yolov8n.pt yolov8n-C2f_gnConv.yaml -o init.pt --preserve",
        ),
        (
            "check",
            check_command.run,
            "explain every row of a model YAML: channels, parameters, FLOPs; name its mistakes",
            "yoloplug check yolov8n-C2f_gnConv.yaml",
        ),
        (
            "profile",
            profile_command.run,
            "what models and blocks cost: parameters, FLOPs, latency, training step, memory",
            "yoloplug profile yolov8n.yaml yolov8n-C2f_gnConv.yaml --imgsz 640 --plot cost.png",
        ),
        (
            "inspect",
            inspect_command.run,
            "what a checkpoint is: task, classes, scale, blocks, versions; no code of it is run",
            "yoloplug inspect runs/detect/train/weights/best.pt",
        ),
        (
            "doctor",
            doctor_command.run,
            "whether the plug-in works in this environment, and what to do where it does not",
            "yoloplug doctor",
        ),
        (
            "look",
            look_command.run,
            "look into a trained model at work on an image: class heat maps, gates, offsets, features",
            "yoloplug look best.pt photo.jpg; then: yoloplug look best.pt photo.jpg --block 4",
        ),
    ):
        sub = commands.add_parser(name, help=text, description=text, epilog=f"example: {example}")
        sub.set_defaults(command=command)
        add_debug(sub)
        if command in _ARGUMENTS:
            _ARGUMENTS[command](sub)
        if command is _blocks:
            sub.add_argument("--native", action="store_true", help="tell whether C kernels are in use, and from where")
        if command is _show:
            sub.add_argument("name", metavar="NAME", help="a block name from `yoloplug blocks`, e.g. gnConv")
    return parser


_ARGUMENTS = {
    module.run: module.add_arguments
    for module in (swap_command, transfer_command, check_command, profile_command, inspect_command, look_command)
}


def _blocks(args: argparse.Namespace) -> None:
    if args.native:
        from yoloplug import native

        print(native.status())
        return
    from yoloplug.cli import listing

    print(listing.listed())


def _show(args: argparse.Namespace) -> None:
    from yoloplug.cli import listing

    print(listing.shown(args.name), end="")


def _models(args: argparse.Namespace) -> None:
    from yoloplug.bridge.yaml_files import model_yamls

    for name, path in model_yamls().items():
        first_line = path.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")
        print(f"{name:<32} {first_line}")
    print("\nPut the scale letter into the call: yolo detect train model=yolov8n-C2f_gnConv.yaml data=coco8.yaml")
