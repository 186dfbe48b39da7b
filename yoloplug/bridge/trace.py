"""Build a model dict without memory (torch's meta device) and walk it row by row: shapes, parameters, FLOPs.

Nothing is computed, so a yolov8x costs as little time as a yolov8n, and the first row that cannot be built or run is
known by its number.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from yoloplug.cost.flops import count_flops, count_parameters

Model = Mapping[str, Any]
"""A model YAML as a dict, with its `scale`, as `yaml_model_load` returns it."""

Shape = tuple[int, ...]
"""(C, H, W) of a feature map."""

BUILD_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError, RuntimeError, SyntaxError,
    TypeError, ValueError,
)  # fmt: skip
"""What constructors and forward passes of foreign modules raise on wrong arguments and shapes."""

_TEXT_FEATURES = 512
"""Width of the text embeddings of the YOLO-World and YOLOE heads."""


class RowError(ValueError):
    """Row `index` cannot be built or run; `reason` says why, without file and row."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"row {index}: {reason}")
        self.index, self.reason = index, reason


class RowTrace(NamedTuple):
    """One row: absolute source rows (-1 is the image), shapes in and out, own parameters and FLOPs for one image."""

    sources: tuple[int, ...]
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    params: int
    flops: int
    uncounted: Counter[str]


def scaling(model: Model) -> tuple[float, float, float]:
    """(depth, width, max_channels) of the model's scale; the multiples of files without `scales`."""
    scales = model.get("scales")
    if scales:
        depth, width, max_channels = scales[model.get("scale") or next(iter(scales))]
        return float(depth), float(width), float(max_channels)
    return float(model.get("depth_multiple", 1.0)), float(model.get("width_multiple", 1.0)), float("inf")


def build(model: Model) -> nn.Sequential:
    """The rows of the model on the meta device, in eval mode. Raises RowError for the first that cannot be built."""
    count = len(model["backbone"]) + len(model["head"])
    try:
        return _parse(model, count)
    except BUILD_ERRORS as error:
        broken = _first_broken_row(model, count)
        message = str(error.args[0]) if error.args else type(error).__name__
        prefix = f"{model.get('yaml_file', 'model YAML')}, row {broken}: "
        raise RowError(broken, message.removeprefix(prefix)) from None


def builds(model: Model) -> bool:
    """Whether no row refuses its channels or arguments; quicker than `build` to say no."""
    try:
        _parse(model, len(model["backbone"]) + len(model["head"]))
    except BUILD_ERRORS:
        return False
    return True


def trace(model: Model, imgsz: int = 640) -> list[RowTrace]:
    """Every row's shapes, parameters and FLOPs for one image of imgsz x imgsz pixels. Raises RowError."""
    rows = build(model)
    head: Any = rows[-1]
    if isinstance(getattr(head, "stride", None), Tensor):
        head.stride = torch.ones(len(head.stride))  # read by value when anchors are laid out
    outputs: list[Any] = [torch.empty(1, image_channels(model), imgsz, imgsz, device="meta")]
    text = torch.empty(1, model.get("nc") or 1, _TEXT_FEATURES, device="meta")
    traces = []
    with torch.device("meta"), torch.no_grad():
        for i, row in enumerate(rows):
            given: Any = row.f
            sources = sources_of(i, given)
            inputs = [outputs[s + 1] for s in sources]
            if type(row).__name__ == "Concat":
                _check_sizes(i, sources, inputs, imgsz)
            call = _Call(row, inputs if isinstance(given, list) else inputs[0], text)
            try:
                flops = count_flops(call, text)
            except BUILD_ERRORS as error:
                shown = ", ".join(_shape_text(x, s) for x, s in zip(inputs, sources, strict=True))
                first_line = str(error).strip().split("\n")[0] or type(error).__name__
                raise RowError(i, f"{type(row).__name__} cannot run on {shown}: {first_line}") from None
            output = call.output
            shapes = tuple(shape for x in inputs for shape in _shapes(x))
            traces.append(
                RowTrace(sources, shapes, _shapes(output), count_parameters(row), flops.flops, Counter(flops.uncounted))
            )
            outputs.append(output)
    return traces


class _Call(nn.Module):
    """One row with its inputs bound, so that its FLOPs can be counted whatever its forward takes; keeps the output."""

    output: Any

    def __init__(self, row: nn.Module, inputs: Any, text: Tensor) -> None:
        super().__init__()
        self.row, self.inputs, self.text = row, inputs, text

    def forward(self, _: Tensor) -> None:
        self.output = run_row(self.row, self.inputs, self.text)


def run_row(row: nn.Module, inputs: Any, text: Tensor) -> Any:
    """The output of one row, whatever its forward takes. text: (1, n, 512), embeddings of class names."""
    x = list(inputs) if isinstance(inputs, list) else inputs  # heads write into their list
    name = type(row).__name__
    if name.startswith("YOLOE"):
        return row([*x, text])
    if name == "ImagePoolingAttn":  # refines the text embeddings; the feature maps pass on
        row(x, text)
        return x
    return row(x, text) if name in ("C2fAttn", "WorldDetect") else row(x)


def sources_of(index: int, given: int | list[int]) -> tuple[int, ...]:
    """Numbers of the rows that row `index` reads, -1 for the image. given: its `from`, -1: the row before it."""
    return tuple(s + index if s < 0 else s for s in (given if isinstance(given, list) else [given]))


def _parse(model: Model, count: int) -> nn.Sequential:
    """The first `count` rows, built on the meta device."""
    from ultralytics.nn import tasks

    split = len(model["backbone"])
    part = {**model, "backbone": model["backbone"][:count], "head": model["head"][: max(count - split, 0)]}
    with torch.device("meta"):
        rows, _ = tasks.parse_model(copy.deepcopy(part), image_channels(model), verbose=False)
    return rows.eval()


def _first_broken_row(model: Model, count: int) -> int:
    """Index of the first row with which parsing fails, by bisection."""
    good, bad = 0, count
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            _parse(model, middle)
            good = middle
        except BUILD_ERRORS:
            bad = middle
    return bad - 1


def image_channels(model: Model) -> int:
    """Of the images that a network takes."""
    return int(model.get("channels") or model.get("ch") or 3)


def _shapes(x: Any) -> tuple[Shape, ...]:
    """Shapes without batch of the feature maps in a row's output; none for a head's dict."""
    if isinstance(x, Tensor):
        return (tuple(x.shape[1:]),)
    values: Sequence[Any] = x if isinstance(x, list | tuple) else ()
    return tuple(tuple(v.shape[1:]) for v in values if isinstance(v, Tensor))


def _shape_text(x: Any, source: int) -> str:
    shapes = " and ".join("x".join(map(str, shape)) for shape in _shapes(x))
    return f"{shapes} of {'the image' if source < 0 else f'row {source}'}"


def _check_sizes(index: int, sources: tuple[int, ...], inputs: list[Any], imgsz: int) -> None:
    if len({shape[1:] for x in inputs for shape in _shapes(x)}) > 1:
        shown = ", ".join(_shape_text(x, s) for x, s in zip(inputs, sources, strict=True))
        hint = "" if imgsz % 64 == 0 else f"; or imgsz={imgsz} is no multiple of the largest stride"
        raise RowError(index, f"Concat of maps of different size: {shown}{hint}")
