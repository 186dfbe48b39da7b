"""A network of Ultralytics as rows: class, inputs, level and widths of each, as `yoloplug.weights.align` wants them."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from yoloplug.bridge.trace import BUILD_ERRORS, run_row
from yoloplug.weights.align import GraphRow

__all__ = ["graph_rows", "stock_class"]

_SIDE = 256
"""Pixels of the image whose maps tell the levels, of every stride up to 64."""


def graph_rows(network: Any) -> list[GraphRow]:
    """The rows of a network, one of `yolo train` or freshly built; nothing of it changes and nothing is computed."""
    rows = network.model
    outputs: list[Any] = [torch.empty(1, _image_channels(network), _SIDE, _SIDE, device="meta")]
    found: list[GraphRow] = []
    for i, row in enumerate(rows):
        given = row.f if isinstance(row.f, list) else [row.f]
        sources = tuple(s + i if s < 0 else s for s in given)
        inputs = [outputs[s + 1] for s in sources]
        is_head = i == len(rows) - 1
        output = None if is_head else _output(row, inputs if isinstance(row.f, list) else inputs[0])
        outputs.append(output)
        shape = _map_shape(output)
        kind = one_of(row)
        found.append(
            GraphRow(
                index=i,
                kind=type(kind).__name__,
                stock=stock_class(type(kind)).__name__,
                sources=sources,
                level=math.log2(_SIDE / shape[1]) if shape else None,
                width=shape[0] if shape else None,
                widths=tuple(s[0] for x in inputs if (s := _map_shape(x))),
                params=sum(p.numel() for p in row.parameters()),
            )
        )
    return found


def one_of(row: nn.Module) -> nn.Module:
    """The row, or the first of its repeats, which `parse_model` puts into an `nn.Sequential`."""
    return row[0] if type(row) is nn.Sequential and len(row) else row


def stock_class(cls: type[nn.Module]) -> type[nn.Module]:
    """The stock class at whose place a row's class stands: `C2f` for `C2f_gnConv`, `Conv` for `gnConv`."""
    from ultralytics.nn.modules import Conv

    from yoloplug.hosts import ConvLike

    if issubclass(cls, ConvLike):
        return Conv
    return next((base for base in cls.__mro__ if not base.__module__.startswith("yoloplug.")), cls)


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


def _image_channels(network: Any) -> int:
    yaml = getattr(network, "yaml", None) or {}
    return int(yaml.get("channels") or yaml.get("ch") or 3)
