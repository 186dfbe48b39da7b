"""Capacity control: a stock YOLO scaled until it costs what another model costs, so that size alone explains nothing.

A plug-in that adds parameters and wins may have won by the parameters. The fair opponent is the stock model widened (or
narrowed) to the same count, found as `yoloplug swap --match` finds it, at the data's own number of classes; or to the
same latency, for which both are timed in turns on the machine that runs the first of its cells.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from experiments.errors import SpecError
from experiments.metrics.cost import torch_device
from experiments.spec.budget import Budget
from experiments.spec.spec import Model
from yoloplug.bridge.model import built, fused
from yoloplug.cost.machine import cpu_name
from yoloplug.cost.timing import interleaved_ms
from yoloplug.files import write_json, write_text
from yoloplug.modelfile.file import ModelFile, ModelFileError, parse, read
from yoloplug.modelfile.match_budget import TOLERANCE, Cost, find
from yoloplug.modelfile.rewrite import change_written
from yoloplug.modelfile.translate import FAMILIES

_LATENCY_TOLERANCE, _TRIES, _RUNS = 0.05, 6, 30


class Scaled(NamedTuple):
    """text: of the scaled model YAML. cost, wish: its budget and that of the model it is matched to. off: relative."""

    text: str
    cost: Cost
    wish: Cost
    off: float


@lru_cache
def scaled(model: Model, classes: int, imgsz: int, times: float = 1.0) -> Scaled:
    """The YAML of `model.model` scaled to the parameters or FLOPs of `model.matched_to`, within 2 %.

    Raises SpecError where no width comes so near, with the nearest that there is. By latency: the nearest to `times`
    the FLOPs.
    """
    assert model.matched_to and model.by
    try:
        stock, other = (_with_classes(read(name), classes) for name in (model.model, model.matched_to))
        own, wish = _cost(stock, imgsz), _cost(other, imgsz)
        rows = {row.index for row in stock.rows if row.name in FAMILIES}
        by: Any = "params" if model.by == "params" else "flops"
        wish = wish._replace(params=round(wish.params * times), flops=round(wish.flops * times), width=own.width)
        found = find(stock, by, wish, rows, imgsz)
        text = change_written(stock, found.change)
    except ModelFileError as error:
        raise SpecError(f"{model.label}: {error}") from error
    if abs(found.off) > TOLERANCE and model.by != "latency":  # which is judged by its times
        raise SpecError(
            f"{model.label}: no width of {model.model} comes within {TOLERANCE:.0%} of {model.matched_to}'s "
            f"{getattr(wish, by):,} {by}; the nearest is {found.off:+.1%} ({getattr(found.cost, by):,}); match by "
            f"{'flops' if by == 'params' else 'params'}, or leave this model out"
        )
    head = (
        f"# {model.model} at the {model.by} of {model.matched_to} ({classes} classes, {imgsz} px): "
        f"{found.cost.params:,} parameters and {found.cost.flops / 1e9:.2f} GFLOPs, "
        f"against {wish.params:,} and {wish.flops / 1e9:.2f}\n"
    )
    return Scaled(head + text, found.cost, wish, found.off)


def write_scaled(model: Model, classes: int, budget: Budget, folder: Path, shared: Path) -> tuple[Path, dict[str, Any]]:
    """The scaled YAML in `folder`, and what the row says of it. The file's name keeps the scale letter of the stock.

    shared: folder in which all cells of a run find the answer of the first, where that rests on measured times.
    """
    path, answer = folder / f"{model.label}.yaml", shared / f"{model.label}-{classes}.json"
    more: dict[str, Any] = {}
    if model.by != "latency":
        found = scaled(model, classes, budget.imgsz)
    elif answer.exists():
        known = json.loads(answer.read_text(encoding="utf-8"))
        write_text(path, known["text"])
        return path, known["matched"]
    else:
        found, more = at_latency(model, classes, budget)
    matched = {
        "to": model.matched_to,
        "by": model.by,
        "off": found.off,
        "params": found.cost.params,
        "flops": found.cost.flops,
        "wished_params": found.wish.params,
        "wished_flops": found.wish.flops,
        **more,
    }
    if more:
        write_json(answer, {"text": found.text, "matched": matched})
    write_text(path, found.text)
    return path, matched


def at_latency(model: Model, classes: int, budget: Budget) -> tuple[Scaled, dict[str, Any]]:
    """The scaled YAML whose fused network takes as long as that of `model.matched_to`, and both times, in ms.

    FLOPs are wished for in proportion to what the last try was off. Raises SpecError where none comes within 5 %.
    """
    torch.set_num_threads(budget.threads)
    device = torch.device(torch_device(budget.device))
    image = torch.rand(1, 3, budget.imgsz, budget.imgsz, device=device)

    def network(file: ModelFile) -> nn.Module:
        return fused(built(file.model, "detect", classes)).to(device).eval()

    other, wish, times = network(read(str(model.matched_to))), scaled(model, classes, budget.imgsz).wish, 1.0
    tries: list[tuple[float, Scaled, dict[str, Any]]] = []
    for _ in range(_TRIES):
        found = scaled(model, classes, budget.imgsz, times)
        own = network(parse(found.text, model.model, read(model.model).model["scale"]))
        with torch.inference_mode():
            taken = interleaved_ms({"own": partial(own, image), "wish": partial(other, image)}, _RUNS, 5, device.type)
        off = taken["own"].median / taken["wish"].median - 1
        machine = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
        more: dict[str, Any] = {"latency_ms": taken["own"].median, "wished_latency_ms": taken["wish"].median}
        more["measured_on"] = f"{machine}, {budget.threads} thread(s)"
        tries.append((abs(off), found._replace(off=off, wish=wish), more))
        if abs(off) <= TOLERANCE:
            break
        times /= 1 + off
    off, found, more = min(tries, key=lambda one: one[0])
    if off > _LATENCY_TOLERANCE:
        raise SpecError(
            f"{model.label}: no width of {model.model} comes within {_LATENCY_TOLERANCE:.0%} of the latency of "
            f"{model.matched_to}, {more['wished_latency_ms']:.1f} ms here; the nearest is {found.off:+.0%}; run on a "
            "quiet machine, or match by flops"
        )
    return found, more


def _with_classes(file: ModelFile, classes: int) -> ModelFile:
    text = re.sub(r"^nc\s*:[^\n#]*", f"nc: {classes} ", file.text, count=1, flags=re.M)
    again = parse(text, file.name, file.model["scale"])
    return again if again.model["nc"] == classes else replace(again, model={**again.model, "nc": classes})


def _cost(file: ModelFile, imgsz: int) -> Cost:
    from yoloplug.bridge.trace import scaling
    from yoloplug.modelfile.report import traced, validate

    validate(file)
    return Cost.of(traced(file, file.model, imgsz), scaling(file.model)[1])
