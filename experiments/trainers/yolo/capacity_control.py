"""Capacity control: a stock YOLO scaled until it costs what another model costs, so that size alone explains nothing.

A plug-in that adds parameters and wins may have won by the parameters. The fair opponent is the stock model widened (or
narrowed) to the same count, found as `yoloplug swap --match` finds it, at the data's own number of classes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from experiments.errors import SpecError
from experiments.spec.spec import Model
from yoloplug.files import write_text
from yoloplug.modelfile.file import ModelFile, ModelFileError, parse, read
from yoloplug.modelfile.match_budget import TOLERANCE, Cost, find
from yoloplug.modelfile.rewrite import change_written
from yoloplug.modelfile.translate import FAMILIES

__all__ = ["Scaled", "scaled", "write_scaled"]


class Scaled(NamedTuple):
    """text: of the scaled model YAML. cost, wish: its budget and that of the model it is matched to. off: relative."""

    text: str
    cost: Cost
    wish: Cost
    off: float


@lru_cache
def scaled(model: Model, classes: int, imgsz: int) -> Scaled:
    """The YAML of `model.model` scaled to the parameters or FLOPs of `model.matched_to`, within 2 %.

    Raises SpecError where no width comes so near, with the nearest that there is.
    """
    assert model.matched_to and model.by
    try:
        stock, other = (_with_classes(read(name), classes) for name in (model.model, model.matched_to))
        own, wish = _cost(stock, imgsz), _cost(other, imgsz)
        rows = {row.index for row in stock.rows if row.name in FAMILIES}
        by: Any = model.by
        found = find(stock, by, wish._replace(width=own.width), rows, imgsz)
        text = change_written(stock, found.change)
    except ModelFileError as error:
        raise SpecError(f"{model.label}: {error}") from error
    if abs(found.off) > TOLERANCE:
        raise SpecError(
            f"{model.label}: no width of {model.model} comes within {TOLERANCE:.0%} of {model.matched_to}'s "
            f"{getattr(wish, model.by):,} {model.by}; the nearest is {found.off:+.1%} "
            f"({getattr(found.cost, model.by):,}); match by {'flops' if model.by == 'params' else 'params'}, or leave "
            "this model out"
        )
    head = (
        f"# {model.model} at the {model.by} of {model.matched_to} ({classes} classes, {imgsz} px): "
        f"{found.cost.params:,} parameters and {found.cost.flops / 1e9:.2f} GFLOPs, "
        f"against {wish.params:,} and {wish.flops / 1e9:.2f}\n"
    )
    return Scaled(head + text, found.cost, wish, found.off)


def write_scaled(model: Model, classes: int, imgsz: int, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The scaled YAML in `folder`, and what the row says of it. The file's name keeps the scale letter of the stock."""
    found = scaled(model, classes, imgsz)
    path = folder / f"{model.label}.yaml"
    write_text(path, found.text)
    return path, {
        "to": model.matched_to,
        "by": model.by,
        "off": found.off,
        "params": found.cost.params,
        "flops": found.cost.flops,
        "wished_params": found.wish.params,
        "wished_flops": found.wish.flops,
    }


def _with_classes(file: ModelFile, classes: int) -> ModelFile:
    text = re.sub(r"^nc\s*:[^\n#]*", f"nc: {classes} ", file.text, count=1, flags=re.M)
    again = parse(text, file.name, file.model["scale"])
    return again if again.model["nc"] == classes else replace(again, model={**again.model, "nc": classes})


def _cost(file: ModelFile, imgsz: int) -> Cost:
    from yoloplug.bridge.trace import scaling
    from yoloplug.modelfile.report import traced, validate

    validate(file)
    rows = traced(file, file.model, imgsz)
    return Cost(sum(row.params for row in rows), sum(row.flops for row in rows), scaling(file.model)[1])
