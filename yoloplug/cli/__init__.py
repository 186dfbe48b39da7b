"""`yoloplug`: what the plug-in offers. Listing needs no GPU, no data and changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

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

    def add(command: Callable[[argparse.Namespace], int | None], text: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(example.split()[1], help=text, description=text, epilog=f"example: {example}")
        sub.set_defaults(command=command)
        add_debug(sub)
        return sub

    sub = add(_blocks, "list the blocks: paper, kind, YAML names, constraints", "yoloplug blocks")
    sub.add_argument("--native", action="store_true", help="tell whether C kernels are in use, and from where")
    sub = add(_show, "one block: options, mathematics, a YAML example", "yoloplug show DCNv2")
    sub.add_argument("name", metavar="NAME", help="a block name from `yoloplug blocks`, e.g. gnConv")
    add(_models, "list the model YAMLs that come with yoloplug", "yoloplug models")
    theirs = (swap_command, transfer_command, check_command, profile_command, inspect_command, doctor_command)
    for module in (*theirs, look_command):
        module.add_arguments(add(module.run, module.ABOUT, module.EXAMPLE))
    return parser


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
