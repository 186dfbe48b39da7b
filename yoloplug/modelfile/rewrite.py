"""The text of a swapped model YAML: rows edited in place, everything else to the letter, and the file itself."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yoloplug.modelfile.file import Edit, ModelFile, ModelFileError, Row, edited, flow, parse
from yoloplug.modelfile.insertion import Insertions
from yoloplug.modelfile.match_budget import Change, with_change, with_e
from yoloplug.modelfile.translate import FAMILIES, translate


def replacements(
    file: ModelFile,
    shapes: Sequence[tuple[tuple[int, ...], tuple[int, ...]] | None],
    pairs: Mapping[str, str],
    chosen: set[int],
    options: Mapping[str, dict[str, Any]],
) -> tuple[set[Edit], list[str]]:
    """The edits that replace the chosen rows, and what could not be said in the new rows.

    shapes: (C, H, W) in and out of each row. options: by the block row's name.
    """
    edits: set[Edit] = set()
    lost: defaultdict[str, list[int]] = defaultdict(list)
    for row in (file.rows[i] for i in sorted(chosen)):
        target = pairs[row.name]
        before, after = shapes[row.index] or ((), ())
        said = translate(row, target, options[target], before[:1] != after[:1])
        if before[1:] != after[1:] and target.split("_")[0] in FAMILIES:
            raise ModelFileError(f"{file.where(row.index)}: {row.name} changes the map's size, {target} cannot")
        edits.add((*row.spans["name"], target))
        if said.repeats != row.repeats:
            edits.add((*row.spans["repeats"], str(said.repeats)))
        if said.args is not None:
            edits.add((*row.spans["args"], flow(said.args)))
        if said.lost:
            words = ", ".join(f"{key}={value}" for key, value in said.lost.items())
            lost[f"{row.name} -> {target}: no counterpart for {words}"].append(row.index)
    return edits, [f"{what} (row {', '.join(map(str, rows))})" for what, rows in lost.items()]


def verified(new: ModelFile, old: ModelFile, chosen: set[int], plan: Insertions) -> ModelFile:
    """The edited file, after making sure that only the chosen rows changed and the rest is wired as before."""
    rows = ("backbone", "head")
    same = {k: v for k, v in new.model.items() if k not in rows} == {
        k: v for k, v in old.model.items() if k not in rows
    }
    kept = [_said(r, plan.sources(r), r.index in chosen) for r in old.rows]
    now = [_said(r, r.source, i in chosen) for i, r in zip(plan.old, new.rows, strict=False) if i is not None]
    wished = [(old.rows[r.after].part, -1, 1, r.name) for r in plan.rows]
    added = [(r.part, r.source, r.repeats, r.name) for r in new.rows if plan.old[r.index : r.index + 1] == [None]]
    if not same or len(new.rows) != len(plan.old) or (kept, wished) != (now, added):
        raise ModelFileError(f"{old.name}: {_SHARED}")
    return new


def _said(row: Row, source: int | list[int], replaced: bool) -> tuple[Any, ...]:
    """What must stay of a row."""
    return (row.part, source, *(() if replaced else (row.repeats, row.name, row.args)))


_SHARED = "the rows cannot be edited one by one (a YAML anchor shared by rows?); write them out"


def command_line(
    name: str, pairs: Mapping[str, str], where: str, options: Mapping[str, Any] | None, match: str | None, imgsz: int,
    output: str | Path | None, insert: Sequence[tuple[str, int | str]],
) -> str:  # fmt: skip
    """The command that makes the file, for its first line."""
    words = ["yoloplug", "swap", name, *(f"{left}={right}" for left, right in pairs.items())]
    words += [word for row, after in insert for word in ("--insert", row, "--after", str(after))]
    words += ["--where", where] if pairs or where != "all" else []
    words += ["--options", flow([dict(options)])[1:-1]] if options else []
    words += ["--match", match] if match else []
    words += ["--imgsz", str(imgsz)] if imgsz != 640 else []
    return shlex.join([*words, *(["-o", str(output)] if output else [])])


def change_written(file: ModelFile, change: Change) -> str:
    """The text with the change of `match.find` in it; a file without any width multiple gets it as a key."""
    edits = {(*file.rows[i].spans["args"], flow(with_e(file, i, e))) for i, e in change.hidden}
    if not change.hidden and file.width_span:
        edits.add((*file.width_span, f"{change.width:g}"))
    text = edited(file.text, edits)
    if not change.hidden and not file.width_span:
        newline = "\r\n" if "\r\n" in text else "\n"
        text = re.sub(r"^(?=backbone\s*:)", f"width_multiple: {change.width:g}{newline}", text, count=1, flags=re.M)
    if with_change(file, change) | {"width_multiple": 0} != parse(text, file.name, file.model["scale"]).model | {
        "width_multiple": 0
    }:
        raise ModelFileError(f"{file.name}: {_SHARED}")
    return text


def call_name(output: Path, file: ModelFile, force: bool) -> str:
    """What `yolo model=` must say so that the new file is built at the scale that was asked for.

    Ultralytics takes the scale from the file's name, so that some names would silently give another scale, and it
    refuses names without .yaml. Raises ModelFileError for them, for a missing folder and, without force, for a file
    that exists.
    """
    if output.suffix not in (".yaml", ".yml"):
        raise ModelFileError(f"{output}: the name of a model file ends in .yaml")
    if not output.parent.is_dir():
        raise ModelFileError(f"{output}: there is no folder {output.parent}")
    if output.exists() and not force:
        raise ModelFileError(f"{output} exists; --force overwrites it")
    scales, scale = list(file.model.get("scales") or {}), file.model["scale"]
    if not scales:
        return str(output)
    family = re.match(r"(yolo(?:e-)?v?\d+)([nslmx])?", output.stem)
    if family and not family[2]:
        return str(output.with_name(f"{family[1]}{scale}{output.name[family.end() :]}"))
    built = family[2] if family else scales[0]
    if built != scale:
        stem = output.stem[family.end() :] if family else f"-{output.stem}"
        better = re.match(r"yolo(?:e-)?v?\d+", Path(file.name).stem)
        proposal = f"; call it {better[0]}{stem}{output.suffix}" if better else f"; put {scale} first in 'scales'"
        raise ModelFileError(
            f"{output}: Ultralytics reads the scale from the name and would build {built}, not {scale}{proposal}"
        )
    return str(output)
