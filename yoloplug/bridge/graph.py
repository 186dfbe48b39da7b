"""A network of Ultralytics as rows: class, inputs, level and widths of each, as `yoloplug.weights.align` wants them."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from yoloplug.bridge.trace import BUILD_ERRORS, image_channels, run_row, sources_of
from yoloplug.hosts import Inserted, stock_class
from yoloplug.weights.align import INSERTED, Alignment, GraphRow, RowPair, align

_SIDE = 256
"""Pixels of the image whose maps tell the levels, of every stride up to 64."""


def has_rows(network: object) -> bool:
    """Whether it is a network built from a model YAML, with `from` and number at each row."""
    rows = getattr(network, "model", None)
    return (
        isinstance(getattr(network, "yaml", None), dict)
        and isinstance(rows, nn.Sequential)
        and len(rows) > 0
        and all(hasattr(row, "f") for row in rows)
    )


def aligned(source: Any, target: Any) -> Alignment:
    """Rows of two networks that are one another. Where every row kept its place and its inputs no map is measured."""
    before, after = ([_row(i, row, None, ()) for i, row in enumerate(n.model)] for n in (source, target))
    if [(row.stock, row.sources) for row in before] == [(row.stock, row.sources) for row in after]:
        return Alignment(before, after, [RowPair(*pair) for pair in zip(before, after, strict=True)])
    return align(graph_rows(source), graph_rows(target))


def graph_rows(network: Any) -> list[GraphRow]:
    """The rows of a network, one of `yolo train` or freshly built; nothing of it changes and nothing is computed."""
    outputs: list[Any] = [torch.empty(1, image_channels(network.yaml), _SIDE, _SIDE, device="meta")]
    found = []
    for i, row in enumerate(network.model):
        inputs = [outputs[s + 1] for s in sources_of(i, row.f)]
        is_head = i == len(network.model) - 1
        output = None if is_head else _output(row, inputs if isinstance(row.f, list) else inputs[0])
        outputs.append(output)
        found.append(_row(i, row, _map_shape(output), tuple(s[0] for x in inputs if (s := _map_shape(x)))))
    return found


def _row(i: int, row: Any, shape: tuple[int, int, int] | None, widths: tuple[int, ...]) -> GraphRow:
    """shape: (C, H, W) of the row's map. A row that says it was inserted stands in no stock class's place."""
    one = row[0] if type(row) is nn.Sequential and len(row) else row  # the first of the row's repeats
    is_inserted = getattr(one, "preserves", None) == "inserted"
    kind = type(one.block if isinstance(one, Inserted) else one)
    return GraphRow(
        index=i,
        kind=kind.__name__,
        stock=INSERTED if is_inserted else stock_class(kind).__name__,
        sources=sources_of(i, row.f),
        level=math.log2(_SIDE / shape[1]) if shape else None,
        width=shape[0] if shape else None,
        widths=widths,
        params=sum(p.numel() for p in row.parameters()),
    )


def _output(row: nn.Module, given: Any) -> Any:
    """What the row gives for maps on the meta device; None where it cannot run there."""
    without_data: dict[int, Any] = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in row.parameters()}
    without_data |= {id(b): b.to("meta") for b in row.buffers()}
    try:
        with torch.device("meta"), torch.no_grad():
            text = torch.empty(1, 1, 512)
            return run_row(copy.deepcopy(row, without_data).eval().float(), given, text)
    except BUILD_ERRORS:
        return None


def _map_shape(output: Any) -> tuple[int, int, int] | None:
    """(C, H, W) of a feature map."""
    if isinstance(output, torch.Tensor) and output.ndim == 4:
        return int(output.shape[1]), int(output.shape[2]), int(output.shape[3])
    return None
