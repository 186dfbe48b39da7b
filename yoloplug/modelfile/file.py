"""A model YAML as rows and as text: every row knows its line and its characters, so that it can be edited in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from yoloplug.errors import YoloplugError
from yoloplug.limits import CLASSES, MULTIPLE, REPEATS, ROWS, check_yaml
from yoloplug.names import nearest

Edit = tuple[int, int, str]
"""(start, end, new text) of characters of a file."""

KEYS = (
    "nc scales depth_multiple width_multiple backbone head activation kpt_shape reg_max end2end channels ch names "
    "scale max_channels strides path yaml_file task"
).split()


class ModelFileError(YoloplugError):
    """A model file or a wish about it that cannot be served; the message names file, row, line and remedy."""


@dataclass(frozen=True)
class Row:
    """One row `[from, repeats, module, args]`. spans: (start, end) in the file's text of `from`, `repeats`,
    `name`, `args` and of the whole `row`."""

    index: int
    part: str
    line: int
    source: int | list[int]
    repeats: int
    name: str
    args: list[Any]
    spans: Mapping[str, tuple[int, int]] = field(compare=False, repr=False)


@dataclass(frozen=True)
class ModelFile:
    """name: as the user called it. model: the parsed dict with `scale` and `yaml_file`, as Ultralytics builds it."""

    name: str
    text: str
    model: dict[str, Any]
    rows: list[Row]
    width_span: tuple[int, int] | None
    """Characters of the width multiple of the model's scale; None where the file gives none."""

    def where(self, index: int) -> str:
        """`my.yaml, row 4 (line 23)`"""
        return f"{self.name}, row {index} (line {self.rows[index].line})"


def read(name: str) -> ModelFile:
    """The file behind a model name, in which a scale letter picks the scale: `yolov8s.yaml`, `path/to/my.yaml`.

    Raises ModelFileError for an unknown name and for a file that is not a model, with the line.
    """
    from yoloplug.bridge.yaml_files import locate

    try:
        path, scale = locate(name)
        text = path.read_bytes().decode("utf-8-sig")
    except YoloplugError as error:
        raise ModelFileError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{name}: cannot be read: {error}") from None
    return parse(text, name, scale)


def parse(text: str, name: str, scale: str = "") -> ModelFile:
    """The text of a model YAML; `name` is for messages. Without a letter the first scale is taken, as stock does."""
    try:
        check_yaml(text)
    except YoloplugError as error:
        raise ModelFileError(f"{name}: {error}") from None
    try:
        root, model = _loaded(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ModelFileError(f"{name}{where}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter of numbers and dates that are none
        raise ModelFileError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(model, dict):
        raise ModelFileError(f"{name}: a model YAML is a mapping with the keys nc, backbone and head")
    lines, nodes = _keys(root, name)
    _check_keys(model, lines, name)
    if (count := len(model["backbone"]) + len(model["head"])) > ROWS:
        raise ModelFileError(f"{name}: {count:,} rows, at most {ROWS:,} are built")
    rows: list[Row] = []
    for part in ("backbone", "head"):
        for node, values in zip(nodes[part].value, model[part], strict=True):
            rows.append(_row(len(rows), part, node, values, name))
    scales = model.get("scales") or {}
    if scale and scales and scale not in scales:
        raise ModelFileError(f"{name}: no scale {scale!r} in the file, which has {', '.join(map(str, scales))}")
    model |= {"scale": (scale or next(iter(scales))) if scales else scale, "yaml_file": name}
    depth = scales[model["scale"]][0] if scales else model.get("depth_multiple", 1.0)
    file = ModelFile(name, text, model, rows, _width_span(nodes, model))
    for row in rows:
        if row.repeats > 1 and row.repeats * depth > REPEATS:
            raise ModelFileError(f"{file.where(row.index)}: {row.repeats} x {depth:g} repeats, at most {REPEATS:,}")
    return file


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with pieces replaced that do not overlap."""
    for start, end, new in sorted(set(edits), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def flow(args: list[Any]) -> str:
    """`[128, True, {order: 3}]`, in the spelling of the stock files."""

    def said(value: Any) -> str:
        if value is None or isinstance(value, bool):
            return str(value)
        dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
        return dumped.removesuffix("\n").removesuffix("\n...")

    return f"[{', '.join(map(said, args))}]"


def _loaded(text: str) -> tuple[Any, Any]:
    """The document's node and its value."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        return root, loader.construct_document(root) if root else None
    finally:
        loader.dispose()


def _keys(root: yaml.MappingNode, name: str) -> tuple[dict[str, int], dict[str, Any]]:
    """(line, value node) of each key."""
    lines: dict[str, int] = {}
    nodes: dict[str, Any] = {}
    for key, value in root.value:
        if key.value in nodes:
            raise ModelFileError(f"{name}, line {key.start_mark.line + 1}: the key {key.value!r} is there twice")
        lines[key.value], nodes[key.value] = key.start_mark.line + 1, value
    return lines, nodes


def _check_keys(model: dict[str, Any], lines: dict[str, int], name: str) -> None:
    for key in ("nc", "backbone", "head"):
        if key not in model:
            unknown = [str(k) for k in model if k not in KEYS]
            near = nearest(key, unknown, most=1)
            hint = f"; {near[0]!r} in line {lines[near[0]]} is not it" if near else ""
            raise ModelFileError(f"{name}: the key {key!r} is missing{hint}")
    if not _is_whole(model["nc"]) or not 1 <= model["nc"] <= CLASSES:
        raise ModelFileError(
            f"{name}, line {lines['nc']}: 'nc' is the number of classes, 1 to {CLASSES:,}, got {model['nc']!r}"
        )
    for key in ("depth_multiple", "width_multiple"):
        if key in model and not _is_multiple(model[key]):
            raise ModelFileError(
                f"{name}, line {lines[key]}: {key!r} is a number above 0, at most {MULTIPLE}, got {model[key]!r}"
            )
    for part in ("backbone", "head"):
        if not isinstance(model[part], list) or not model[part]:
            raise ModelFileError(
                f"{name}, line {lines[part]}: {part!r} is a list of rows [from, repeats, module, args]"
            )
    if model.get("activation") is not None:
        from yoloplug.bridge.patches.restricted import check_activation

        try:
            check_activation(model["activation"])
        except ValueError as error:
            raise ModelFileError(f"{name}, line {lines['activation']}: {error}") from None
    scales = model.get("scales")
    if scales is not None:
        line = lines["scales"]
        if not isinstance(scales, dict) or not scales:
            raise ModelFileError(f"{name}, line {line}: 'scales' is a mapping such as n: [0.33, 0.25, 1024]")
        for letter, values in scales.items():
            if (
                not isinstance(values, list)
                or len(values) != 3
                or not all(_is_multiple(v) for v in values[:2])
                or not (_is_number(values[2]) and values[2] >= 1)
            ):
                raise ModelFileError(
                    f"{name}, line {line}: scale {letter} is {values}, not [depth, width, max_channels], the first two "
                    f"above 0 and at most {MULTIPLE}"
                )


def _row(index: int, part: str, node: yaml.Node, values: Any, name: str) -> Row:
    line = node.start_mark.line + 1
    where = f"{name}, row {index} (line {line})"
    if not isinstance(values, list) or len(values) != 4:
        raise ModelFileError(f"{where}: a row is [from, repeats, module, args], got {values}")
    source, repeats, module, args = values
    sources = source if isinstance(source, list) else [source]
    if not sources or not all(_is_whole(s) for s in sources):
        raise ModelFileError(f"{where}: 'from' is a row number or a list of them, got {source}")
    for s in sources:
        if not (-max(index, 1) <= s < max(index, 0)):
            reach = f"rows 0 to {index - 1} and -1 to -{index}" if index else "only -1, the image"
            raise ModelFileError(f"{where}: there is no row {s} before it; 'from' can be {reach}")
    if not _is_whole(repeats) or not 1 <= repeats <= REPEATS:
        raise ModelFileError(f"{where}: 'repeats' is a whole number from 1 to {REPEATS:,}, got {repeats!r}")
    if not isinstance(module, str):
        raise ModelFileError(f"{where}: the third entry is a module name, got {module!r}")
    if not isinstance(args, list):
        raise ModelFileError(f"{where}: the fourth entry is a list of arguments, got {args!r}")
    nodes = dict(zip(("from", "repeats", "name", "args", "row"), (*node.value, node), strict=True))
    spans = {key: (n.start_mark.index, _end(n)) for key, n in nodes.items()}
    return Row(index, part, line, source, repeats, module, args, spans)


def _end(node: yaml.Node) -> int:
    """Behind a node's last character; YAML lets a list in block style go on up to the next token."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return end


def _width_span(nodes: dict[str, Any], model: dict[str, Any]) -> tuple[int, int] | None:
    node = nodes.get("width_multiple")
    if model.get("scales"):
        row = next(value for key, value in nodes["scales"].value if key.value == str(model["scale"]))
        node = row.value[1]
    return (node.start_mark.index, node.end_mark.index) if node else None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_multiple(value: Any) -> bool:
    return _is_number(value) and 0 < value <= MULTIPLE
