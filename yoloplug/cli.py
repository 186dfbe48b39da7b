"""`yoloplug`: what the plug-in offers. Listing needs no GPU, no data and changes nothing."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence

from yoloplug import profile_command

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors are one line on stderr and exit code 2."""
    args = _parser().parse_args(argv)
    try:
        args.command(args)
    except (KeyError, FileNotFoundError, ValueError) as error:
        print(f"yoloplug: {error.args[-1]}", file=sys.stderr)
        return 2
    return 0


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
            "profile",
            profile_command.run,
            "what models and blocks cost: parameters, FLOPs, latency, training step, memory",
            "yoloplug profile yolov8n.yaml yolov8n-C2f_gnConv.yaml --imgsz 640 --plot cost.png",
        ),
    ):
        sub = commands.add_parser(name, help=text, description=text, epilog=f"example: {example}")
        sub.set_defaults(command=command)
        if command is profile_command.run:
            profile_command.add_arguments(sub)
        if command is _show:
            sub.add_argument("name", metavar="NAME", help="a block name from `yoloplug blocks`, e.g. gnConv")
    return parser


def _blocks(args: argparse.Namespace) -> None:
    from yoloplug import BLOCKS

    for block in sorted(BLOCKS.values(), key=lambda b: b.name.lower()):
        print(f"{block.name}: {block.summary}")
        print(f"    paper        {block.paper}")
        print(f"    kind         {block.kind} ({_KINDS[block.kind]})")
        print(f"    YAML names   {', '.join(block.hosts)}")
        print(f"    constraints  {block.constraints}")


_KINDS = {"conv": "sets width and stride itself", "keep": "keeps width and stride; the row's Conv sets them"}


def _show(args: argparse.Namespace) -> None:
    from yoloplug import blocks  # noqa: F401
    from yoloplug.registry import block

    found = block(args.name)
    skipped = 1 if found.kind == "keep" else 4
    parameters = list(inspect.signature(found.cls).parameters.values())[skipped:]
    options = {p.name: p.default for p in parameters}
    print(f"{found.name}  ({found.paper})\n")
    print(inspect.cleandoc(sys.modules[found.cls.__module__].__doc__ or ""))
    print(f"\n{inspect.getdoc(found.cls)}\n")
    print(
        f"kind: {found.kind} ({_KINDS[found.kind]})\nconstraints: {found.constraints}\noptions by name, with defaults:"
    )
    for name, default in options.items():
        print(f"    {name}: {getattr(default, '__name__', default)!s}")
    example = next(((k, v) for k, v in options.items() if isinstance(v, int | float | str) and k != "k"), None)
    named = "" if example is None else f", {{{example[0]}: {example[1]}}}"
    print(
        f"\nin a model YAML:\n"
        f"    - [-1, 1, {found.name}, [256, 3, 2]]  # where a Conv could stand: width, kernel, stride\n"
        f"    - [-1, 1, {found.name}, [256, 3, 2{named}]]  # with an option by name\n"
        f"    - [-1, 3, C2f_{found.name}, [256, True{named}]]  # in place of C2f; so do C3_ and C3k2_{found.name}"
    )


def _models(args: argparse.Namespace) -> None:
    from yoloplug.yamls import model_yamls

    for name, path in model_yamls().items():
        first_line = path.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")
        print(f"{name:<32} {first_line}")
    print("\nPut the scale letter into the call: yolo detect train model=yolov8n-C2f_gnConv.yaml data=coco8.yaml")
