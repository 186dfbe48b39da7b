"""`yoloplug check`: explain every row of a model YAML, or say what is wrong with it, by row and line."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import Any, NamedTuple

from yoloplug.limits import check_imgsz
from yoloplug.modelfile.file import ModelFile, ModelFileError, Row, read
from yoloplug.names import did_you_mean


class Report(NamedTuple):
    """lines: the table as text. params: of the model. flops: of one image. unused: rows that no row reads."""

    lines: list[str]
    params: int
    flops: int
    uncounted: dict[str, int]
    unused: list[int]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def check(name: str, imgsz: int = 640) -> Report:
    """Build the model behind a name without memory and explain its rows.

        print(yoloplug.check("yolov8n-C2f_gnConv.yaml", imgsz=320))

    Raises YoloplugError for a mistake, with row and line.
    """
    file = read(name)
    validate(file)
    return explain(file, imgsz)


def validate(file: ModelFile) -> None:
    """Module names and argument counts of every row, before anything is built. Raises ModelFileError."""
    from yoloplug.bridge.row_arguments import module_class, module_names, row_parameters, signature_text

    for row in file.rows:
        if module_class(row.name) is None:
            hint = did_you_mean(row.name, module_names()) or "; ours: yoloplug blocks"
            raise ModelFileError(f"{file.where(row.index)}: unknown module {row.name!r}{hint}")
        parameters = list(row_parameters(row.name).values())
        args = row.args[:-1] if row.args and isinstance(row.args[-1], dict) else row.args
        if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
            continue
        most = sum(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in parameters)
        least = sum(p.default is inspect.Parameter.empty for p in parameters)
        if not least <= len(args) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise ModelFileError(
                f"{file.where(row.index)}: {row.name} takes {count} arguments in a row, got {len(args)}: {row.args}; "
                f"they are {signature_text(row.name)}"
            )


def traced(file: ModelFile, model: dict[str, Any], imgsz: int = 640) -> list[Any]:
    """The rows of `model`, an edited form of the file's, as `bridge.trace.RowTrace`. Raises YoloplugError."""
    from yoloplug.bridge.trace import RowError, trace

    check_imgsz(imgsz)
    try:
        return trace(model, imgsz)
    except RowError as error:
        row = [*model["backbone"], *model["head"]][error.index]
        shown = f"{row[2]} {row[3]}"
        raise ModelFileError(f"{file.where(error.index)}: {shown}: {error.reason}") from None


def explain(file: ModelFile, imgsz: int = 640) -> Report:
    """One line a row: number, from, repeats after scaling, module, arguments, channels, stride, parameters, FLOPs."""
    from yoloplug.bridge.trace import scaling

    traces = traced(file, file.model, imgsz)
    depth, width, max_channels = scaling(file.model)
    params, flops = sum(t.params for t in traces), sum(t.flops for t in traces)
    uncounted: Counter[str] = sum((t.uncounted for t in traces), Counter())
    read_by = {s for t in traces for s in t.sources}
    unused = [r.index for r in file.rows[:-1] if r.index not in read_by and r.name != "ImagePoolingAttn"]
    scale = f"scale {file.model['scale']}, " if file.model.get("scales") else ""
    limit = "" if max_channels == float("inf") else f", at most {max_channels:g} channels"
    head = ("row", "from", "n", "module", "arguments", "channels", "level", "params", "FLOPs")
    cells = [head, *(_cells(file, row, t, depth, flops, imgsz) for row, t in zip(file.rows, traces, strict=True))]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    left = {"from", "module", "arguments", "level"}
    lines = [f"{file.name}: {scale}depth {depth:g}, width {width:g}{limit}; one image of {imgsz} x {imgsz}", ""]
    for line in cells:
        padded = (c.ljust(w) if h in left else c.rjust(w) for c, w, h in zip(line, widths, head, strict=True))
        lines.append("  ".join(padded).rstrip())
    lines += ["", f"{len(file.rows)} rows, {params:,} parameters, {flops / 1e9:.2f} GFLOPs at {imgsz} x {imgsz}"]
    if uncounted:
        named = ", ".join(op.split(".")[-1] for op in sorted(uncounted))
        lines.append(f"operations that count 0 FLOPs: {named}")
    if unused:
        lines.append(f"no row reads the output of: row {', row '.join(map(str, unused))}")
    return Report(lines, params, flops, dict(uncounted), unused)


def level(shape: tuple[int, ...] | None, imgsz: int) -> int | None:
    """3 for a map of stride 8, as in P3; None for what is not a feature map of a power-of-two stride."""
    if shape is None or len(shape) != 3 or shape[1] < 1 or imgsz % shape[1]:
        return None
    stride = imgsz // shape[1]
    return stride.bit_length() - 1 if stride & (stride - 1) == 0 else None


def _cells(file: ModelFile, row: Row, trace: Any, depth: float, flops: int, imgsz: int) -> tuple[str, ...]:
    many = [str(shape[0]) for shape in trace.inputs]
    c1 = "+".join(many if len(many) <= 5 else [*many[:2], "...", many[-1]])
    is_map = trace.outputs and len(trace.outputs[0]) == 3
    c2 = "+".join(str(shape[0]) for shape in trace.outputs) if is_map else "out"
    p = level(trace.outputs[0] if is_map else None, imgsz)
    return (
        str(row.index),
        str(row.source),
        str(max(round(row.repeats * depth), 1) if row.repeats > 1 else row.repeats),  # as Ultralytics rounds
        row.name,
        " ".join(file.text[slice(*row.spans["args"])].split()),
        f"{c1} -> {c2}",
        "" if p is None else f"P{p}/{2**p}",
        f"{trace.params:,}",
        f"{100 * trace.flops / max(flops, 1):.1f} %",
    )
