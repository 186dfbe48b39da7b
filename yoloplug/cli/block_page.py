"""The page of a block, made from its docstrings and its row in the registry; nothing is typed twice.

docs/catalogue.py writes it to docs/blocks/NAME.md, which `yoloplug show NAME` prints.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import sys
import types
from typing import Any, Literal, Union, get_args, get_origin

import torch
import yaml

from yoloplug.bridge.yaml_files import model_yamls
from yoloplug.cli.listing import KINDS
from yoloplug.registry import Block

_TAILS = {
    "norm+act": "BatchNorm and the YAML's activation",
    "act": "the YAML's activation (it ends in its own normalisation)",
    "none": "nothing (it is complete)",
}
_PLACES = {
    "conv": "the second convolution of every bottleneck",
    "bottleneck": "every bottleneck as a whole",
}
_SECTIONS = ("Papers?:", "Mathematics:", "Mathematics(?=,)", "Use it when", "Measured:", "Departs:")


def page(block: Block) -> str:
    """Markdown, ending in a newline."""
    title, sections = _sections(block)
    parts = [f"# {block.name}", title]
    if "Mathematics" in sections:
        parts += ["## Mathematics", _verbatim(sections["Mathematics"])]
    parts += (
        ["## When to use it", _prose("Use it when " + sections["Use it when"])] if "Use it when" in sections else []
    )
    if "Measured" in sections:
        parts += ["## What was measured", _prose(sections["Measured"][:1].upper() + sections["Measured"][1:])]
    parts += [
        "## In a model YAML",
        *_rows(block),
        "## Arguments and options",
        _verbatim(inspect.getdoc(block.cls) or ""),
    ]
    parts += [_option_table(block), f"Constraints: {_prose(block.constraints)}."]
    if block.params and block.macs:
        parts += ["## Cost", _cost(block)]
    paper = " ".join(sections.get("Paper", "").split())
    parts += ["## Paper", f"{_prose(paper)} ({block.paper})" if paper else block.paper]
    if "Departs" in sections:
        parts += ["## Where it departs from the reference", _prose(sections["Departs"])]
    return "\n\n".join(parts) + "\n"


def formula_value(formula: str, block: Block, c: int, size: tuple[int, int]) -> int:
    """`params` or `macs` of the registry for the block with its defaults, c channels in and out, input (H, W)."""
    parameters = inspect.signature(block.cls).parameters.values()
    given = {"c": c} if block.kind == "keep" else {"c1": c, "c2": c, "k": 3, "s": 1}
    with torch.device("meta"), torch.no_grad():
        made = block.cls(**given).eval()(torch.empty(1, c, *size))
    names: dict[str, Any] = {p.name: p.default for p in parameters} | given
    names |= {"P": made.shape[-2] * made.shape[-1], "H": size[0], "W": size[1]}
    names |= {f.__name__: f for f in (math.ceil, math.floor, math.log2, min, max)}
    return round(eval(formula, names))


def yamls_with(block: Block) -> list[str]:
    """Names of the shipped model YAMLs that have a row of this block."""
    return [name for name, modules in _modules_of_yamls().items() if not modules.isdisjoint(block.hosts)]


@functools.cache
def _modules_of_yamls() -> dict[str, frozenset[str]]:
    models = {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in model_yamls().items()}
    return {name: frozenset(row[2] for row in model["backbone"] + model["head"]) for name, model in models.items()}


def _sections(block: Block) -> tuple[str, dict[str, str]]:
    """The module docstring's first line without the name, and the text behind each of its keywords."""
    text = inspect.cleandoc(sys.modules[block.cls.__module__].__doc__ or "")
    first, _, rest = text.partition("\n")
    own = first.startswith(f"{block.name}: ")
    name = first.removeprefix(f"{block.name}: ")
    title = f"**{name[:1].upper()}{name[1:]}** {_prose(block.summary)}" if own else _prose(block.summary)
    pieces = re.split(rf"^({'|'.join(_SECTIONS)})", rest, flags=re.M)
    sections = {}
    for key, value in zip(pieces[1::2], pieces[2::2], strict=True):
        key = "Paper" if key.startswith("Paper") else key.rstrip(":")
        sections[key] = inspect.cleandoc("\n" + value if value.startswith("\n") else value.lstrip(", "))
    return title, sections


def _rows(block: Block) -> list[str]:
    """The YAML lines, what stands around the block, and the shipped YAMLs."""
    option = next(
        (f"{p.name}: {_shown(p.default)}" for p in _options(block) if isinstance(p.default, int | float | str)), None
    )
    named = f", {{{option}}}" if option else ""
    lines = [f"- [-1, 1, {block.name}, [256, 3, 1]]  # where a Conv could stand: width, kernel, stride"]
    if named:
        lines.append(f"- [-1, 1, {block.name}, [256, 3, 1{named}]]  # an option by name, here with its default")
    if block.conditioned:
        lines.append(f"- [[-1, 4], 1, {block.name}, [256, 3, 1]]  # the second input, row 4, is the condition")
    lines += [f"- [-1, 3, {name}, [256, True]]  # in place of {name.split('_')[0]}" for name in block.hosts[1:2]]
    around = f"Kind `{block.kind}`: {KINDS[block.kind]}. Behind it comes {_TAILS[block.tail]}."
    if block.place == "row":
        around += " It only stands as a row of its own."
    else:
        names = ", ".join(f"`{name}`" for name in block.hosts[1:])
        around += f" In {names} it replaces {_PLACES[block.place]}."
    shipped = ", ".join(f"`{name}`" for name in yamls_with(block)) or "none; write the row into your own"
    return ["```yaml\n" + "\n".join(lines) + "\n```", around, f"Model YAMLs that come with it: {shipped}."]


def _options(block: Block) -> list[inspect.Parameter]:
    """The constructor's parameters behind those that a row gives by position."""
    signature = inspect.signature(block.cls, eval_str=True)
    return list(signature.parameters.values())[1 if block.kind == "keep" else 4 :]


def _option_table(block: Block) -> str:
    rows = [f"| `{p.name}` | `{_shown(p.default)}` | {_type(p.annotation)} |" for p in _options(block)]
    if not rows:
        return "It has no options."
    return "\n".join(["| option | default | values |", "|---|---|---|", *rows])


def _type(annotation: Any) -> str:
    choices = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in choices)
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(map(_type, choices))
    if get_origin(annotation) is type:
        return f"a class of {choices[0].__name__} (from Python)"
    if choices:
        return f"{annotation.__origin__.__name__} of {' and '.join(map(_type, choices))}"
    return "None" if annotation is type(None) else str(annotation.__name__)


def _shown(default: Any) -> str:
    if isinstance(default, type):
        return default.__name__
    return f"{default:.6g}" if isinstance(default, float) else str(default)


def _cost(block: Block) -> str:
    params, macs = (formula_value(formula, block, 64, (80, 80)) for formula in (block.params, block.macs))
    return (
        f"```text\nparameters      {block.params}\nmultiply-adds   {block.macs}\n```\n\n"
        "P is the number of output pixels, H and W are the input's sides; the other names are the options. "
        f"With the defaults, 64 channels in and out and an 80x80 map: {params:,} parameters, {macs / 1e6:,.1f} million "
        f"multiply-adds. A plain 3x3 convolution has 36,864 and 235.9 million."
    )


def _verbatim(text: str) -> str:
    return f"```text\n{text}\n```"


def _prose(text: str) -> str:
    """Text in which Markdown changes nothing: words with stars or angle brackets become code."""
    parts = re.split(r"(`[^`]*`)", text)
    plain = [re.sub(r"[^\s`]*(?:\*\S|\S\*|<\w)[^\s`]*?(?=[.,;:]?(?:\s|$))", r"`\g<0>`", part) for part in parts[::2]]
    return "".join(piece for pair in zip(plain, [*parts[1::2], ""], strict=True) for piece in pair)
