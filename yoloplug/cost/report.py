"""Measured costs as text tables, CSV files and a bar chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from yoloplug import files
from yoloplug.cost.blocks import BlockCost
from yoloplug.cost.models import ModelCost
from yoloplug.cost.timing import LatencyMs, TimingProtocol


def model_table(costs: Sequence[ModelCost], imgsz: int) -> str:
    """One line a model; below it what the FLOPs leave out. Ratios are to the first model."""
    first = costs[0]
    rows = [
        [
            cost.file,
            f"{cost.params:,}",
            f"{cost.flops.flops / 1e9:.3f}",
            f"{_ms(cost.latency)} ({cost.latency.median / first.latency.median:.2f}x)",
            f"{_ms(cost.step)} ({cost.step.median / first.step.median:.2f}x)",
            f"{cost.peak_mib:.0f}",
        ]
        for cost in costs
    ]
    head = ["model", "parameters", f"GFLOPs at {imgsz}", "fused forward, ms", "training step, ms", "step's peak, MiB"]
    uncounted = sorted({name for cost in costs for name in cost.flops.uncounted})
    note = "FLOPs = 2 x MACs. Counted 0 (stock `info` adds 1 to 2 % for some): " + (", ".join(uncounted) or "nothing")
    return _aligned([head, *rows]) + "\n" + note


def block_table(costs: Sequence[BlockCost]) -> str:
    """One line a block and shape, against a plain 3x3 Conv-BatchNorm-SiLU of that shape."""
    head = [
        "block",
        "shape",
        "uses",
        "parameters",
        "Conv's",
        "forward, ms",
        "to Conv",
        "forward+backward, ms",
        "to Conv",
    ]
    rows = [
        [
            cost.name,
            cost.shape,
            str(cost.uses),
            f"{cost.params:,}",
            f"{cost.conv_params:,}",
            _ms(cost.forward),
            f"{cost.forward_ratio:.2f}x",
            _ms(cost.step),
            f"{cost.step_ratio:.2f}x",
        ]
        for cost in costs
    ]
    return _aligned([head, *rows])


def write_tables(
    file: Path, models: Sequence[ModelCost], blocks: Sequence[BlockCost], protocol: TimingProtocol
) -> list[Path]:
    """Models go to `file`, blocks to its sibling NAME-blocks.csv; returns what was written. Times in ms."""
    tables = {
        file: [_model_row(cost) for cost in models],
        file.with_name(f"{file.stem}-blocks{file.suffix}"): [_block_row(cost) for cost in blocks],
    }
    written = {path: rows for path, rows in tables.items() if rows}
    for path, rows in written.items():
        files.write_csv(path, [*rows[0], "protocol"], (row | {"protocol": str(protocol)} for row in rows))
    return list(written)


def save_chart(file: Path, models: Sequence[ModelCost], blocks: Sequence[BlockCost], protocol: TimingProtocol) -> None:
    """Bars: times of the models left, times of the blocks in units of a plain Conv right (logarithmic)."""
    from matplotlib.figure import Figure

    panels: list[Callable[[Any], None]] = []
    if models:
        panels.append(partial(_model_bars, costs=models))
    if blocks:
        panels.append(partial(_block_bars, costs=blocks))
    height = 1.8 + 0.42 * max(len(models) * 1.5, len(blocks), 3)
    figure = Figure(figsize=(6.4 * len(panels), height), layout="constrained")
    for axes, draw in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw(axes)
    figure.supxlabel(f"{protocol.machine}, batch {protocol.batch}, {protocol.imgsz} px; medians", fontsize=8)
    files.write(file, lambda part: figure.savefig(part, dpi=150))


def _model_bars(axes: Any, costs: Sequence[ModelCost]) -> None:
    _bars(
        axes,
        [cost.file for cost in costs],
        [[cost.latency for cost in costs], [cost.step for cost in costs]],
        ["fused forward", "training step"],
    )
    axes.set_xlabel("milliseconds (line: 10th to 90th percentile)")


def _block_bars(axes: Any, costs: Sequence[BlockCost]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    def ratios(own: LatencyMs, conv: LatencyMs) -> LatencyMs:
        return LatencyMs(*(value / conv.median for value in own))

    _bars(
        axes,
        [f"{cost.name}\n{cost.shape}" for cost in costs],
        [
            [ratios(cost.forward, cost.conv_forward) for cost in costs],
            [ratios(cost.step, cost.conv_step) for cost in costs],
        ],
        ["forward", "forward + backward"],
        start=1.0,
    )
    axes.set_xscale("log")
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_xlabel("time / time of a plain 3x3 Conv of the same shape")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())


def _bars(axes: Any, names: list[str], series: list[list[LatencyMs]], labels: list[str], start: float = 0.0) -> None:
    """Horizontal bars from `start`, first name on top, one colour a series, the median written at each bar's end."""
    thick = 0.8 / len(series)
    for i, (times, label) in enumerate(zip(series, labels, strict=True)):
        where = [row + (i - (len(series) - 1) / 2) * thick for row in range(len(names))]
        medians = [time.median for time in times]
        spread = [[time.median - time.p10 for time in times], [time.p90 - time.median for time in times]]
        axes.barh(where, [median - start for median in medians], thick, left=start, label=label)
        axes.errorbar(medians, where, xerr=spread, fmt="none", ecolor="0.25", elinewidth=0.8)
        for y, time in zip(where, times, strict=True):
            axes.annotate(
                f"{time.median:.3g}",
                (max(time.p90, start), y),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.02)
    axes.legend(fontsize=7, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.3)


def _model_row(cost: ModelCost) -> dict[str, Any]:
    return {
        "model": cost.file,
        "params": cost.params,
        "flops": cost.flops.flops,
        "flops_uncounted": " ".join(cost.flops.uncounted),
        **_columns("latency_ms", cost.latency),
        **_columns("step_ms", cost.step),
        "step_peak_mib": round(cost.peak_mib, 1),
    }


def _block_row(cost: BlockCost) -> dict[str, Any]:
    return {
        "block": cost.name,
        "shape": cost.shape,
        "uses": cost.uses,
        "params": cost.params,
        "conv_params": cost.conv_params,
        **_columns("forward_ms", cost.forward),
        **_columns("conv_forward_ms", cost.conv_forward),
        "forward_ratio": round(cost.forward_ratio, 4),
        **_columns("step_ms", cost.step),
        **_columns("conv_step_ms", cost.conv_step),
        "step_ratio": round(cost.step_ratio, 4),
    }


def _columns(name: str, time: LatencyMs) -> dict[str, float]:
    return {name: round(time.median, 4), f"{name}_p10": round(time.p10, 4), f"{name}_p90": round(time.p90, 4)}


def _ms(time: LatencyMs) -> str:
    return f"{time.median:.2f} ({time.p10:.2f}-{time.p90:.2f})"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
