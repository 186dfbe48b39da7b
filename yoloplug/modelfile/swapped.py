"""`yoloplug swap`: rows of a model YAML replaced or inserted, the rest to the letter, its budget matched."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yoloplug.bridge.trace import RowError, build, scaling
from yoloplug.files import write_text
from yoloplug.modelfile import rewrite
from yoloplug.modelfile.file import ModelFile, ModelFileError, edited, parse, read
from yoloplug.modelfile.insertion import Insertions, planned
from yoloplug.modelfile.match_budget import TOLERANCE, Cost, CostMetric, Matched, find
from yoloplug.modelfile.report import level, traced, validate
from yoloplug.modelfile.translate import translatable
from yoloplug.names import did_you_mean

Pairs = Mapping[str, str]


class Swapped(NamedTuple):
    """text: of the new file. rows: the replaced ones, as the source counts; inserted: the new ones, as the file counts.

    changes: what became of which row, in words. swapped: None where a block refuses the stock width. call: the model
    name for `yolo`; None if no file was written.
    """

    text: str
    rows: list[int]
    inserted: list[int]
    changes: list[str]
    notes: list[str]
    stock: Cost
    swapped: Cost | None
    matched: Cost | None
    call: str | None

    def __str__(self) -> str:
        lines = [f"{'':<8} {'params':>12} {'GFLOPs':>8} {'width':>7}"]
        for name, cost in (("stock", self.stock), ("swapped", self.swapped), ("matched", self.matched)):
            if cost is not None:
                off = f"  ({_off(cost.params, self.stock.params)} params, {_off(cost.flops, self.stock.flops)} FLOPs)"
                numbers = f"{cost.params:>12,} {cost.flops / 1e9:>8.2f} {cost.width:>7g}"
                lines.append(f"{name:<8} {numbers}{off if name != 'stock' else ''}")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, *([f"train it: yolo train model={self.call} ..."] if self.call else [])])


def swap(
    name: str, pairs: Pairs | None = None, where: str = "all", options: Mapping[str, Any] | None = None,
    match: CostMetric | None = None, imgsz: int = 640, output: str | Path | None = None, force: bool = False,
    insert: Sequence[tuple[str, int | str]] = (),
) -> Swapped:  # fmt: skip
    """Replace modules by blocks, {"C2f": "C2f_gnConv"}, in the rows that `where` names, and insert rows.

        print(yoloplug.swap("yolov8n.yaml", {"C2f": "C2f_gnConv"}, where="backbone", output="yolov8-gn.yaml"))
        print(yoloplug.swap("yolov8n.yaml", insert=[("SCConv", 4), ("gnConv[256, 5, 1, {order: 3}]", "P5")]))

    where: `backbone`, `neck`, `all`, levels `P3,P4`, row numbers `4,6`. options: of the blocks by name, or a dict of
    them by block row, {"C2f_gnConv": {"order": 3}}. match: find the width multiple of the scale, or the hidden width of
    the swapped rows, at which parameters or FLOPs are within 2 % of the stock model. output: the file to write; force:
    overwrite it, and accept the nearest match. insert: (block, place) of new rows, each behind a row number of the
    source or behind the last row of a level, in the backbone or, with where="neck", in the neck. A block without
    arguments keeps its input's width. Whoever read the row before reads the new one.
    Raises ModelFileError, whose message says what to do.
    """
    file = read(name)
    validate(file)
    call = None if output is None else rewrite.call_name(Path(output), file, force)
    pairs = _checked(pairs or {}, file, bool(insert))
    before = traced(file, file.model, imgsz)
    chosen = select(file, before, pairs, where, imgsz) if pairs else set()
    if not pairs and where not in ("all", "backbone", "neck"):
        raise ModelFileError(f"--where {where} names rows to replace, and no OLD=NEW does; insert with --after {where}")
    plan = planned(file, before, insert, "head" if where == "neck" else "backbone", imgsz)
    given = _by_row({*pairs.values(), *(row.name for row in plan.rows)}, options or {})
    plan = plan.with_options(given)
    shapes = [(t.inputs[0], t.outputs[0]) if t.outputs else None for t in before]
    edits, notes = rewrite.replacements(file, shapes, pairs, chosen, given)
    text = edited(file.text, [*edits, *plan.edits(file)])
    new = rewrite.verified(parse(text, name, file.model["scale"]), file, chosen, plan)
    validate(new)
    width = scaling(file.model)[1]
    stock, swapped, matched = Cost.of(before, width), None, None
    try:
        after = traced(new, new.model, imgsz)
    except ModelFileError as error:
        if match is None:
            raise
        notes.append(f"width {width:g} is not possible: {error}")
    else:
        notes += _changed_widths(new, before, after, plan)
        swapped = Cost.of(after, width)
    notes += _scales_that_fail(new)
    header = rewrite.command_line(name, pairs, where, options, match, imgsz, output, insert)
    if match is not None:
        found = find(new, match, stock, {plan.new[i] for i in chosen} | {*plan.added}, imgsz)
        matched = found.cost
        notes.append(_match_text(file, match, found))
        header += f"\n# {notes[-1]}"
        text = rewrite.change_written(new, found.change)
    newline = "\r\n" if "\r\n" in text else "\n"
    text = f"# {header}\n".replace("\n", newline) + text
    changes = [f"rows {', '.join(map(str, sorted(chosen)))} of {name} changed"] if chosen else []
    changes += plan.text(file)
    result = Swapped(text, sorted(chosen), plan.added, changes, notes, stock, swapped, matched, call)
    if matched is not None and abs(found.off) > TOLERANCE and not force:
        why = f" ({found.refused})" if found.refused else ""
        told = result._replace(call=None)
        raise ModelFileError(
            f"nothing within {TOLERANCE:.0%} of the stock {match}{why}; --force takes the nearest:\n{told}"
        )
    if output is not None:
        write_text(Path(output), text)
    return result


def _checked(pairs: Pairs, file: ModelFile, inserts: bool) -> Pairs:
    from yoloplug.hosts import host_names

    present = {row.name for row in file.rows[:-1]}
    known = sorted(n for n in present if translatable(n))
    if not pairs and not inserts:
        raise ModelFileError("nothing to swap; give pairs such as C2f=C2f_gnConv, or rows to insert")
    for left, right in pairs.items():
        if left not in present:
            hint = did_you_mean(left, known)
            raise ModelFileError(f"{file.name} has no row {left!r}{hint} (rows to swap: {', '.join(known)})")
        if left not in known:
            raise ModelFileError(
                f"{left} has several inputs or no width of its own, no block can stand for it; "
                f"rows to swap: {', '.join(known)}"
            )
        if right not in host_names():
            hint = did_you_mean(right, host_names()) or "; all of ours: yoloplug blocks"
            raise ModelFileError(f"unknown block row {right!r}{hint}")
    return pairs


def select(file: ModelFile, traces: list[Any], pairs: Pairs, where: str, imgsz: int) -> set[int]:
    """Indices of the rows to change: named on the left and in one of the places."""
    levels = [level(t.outputs[0] if t.outputs else None, imgsz) for t in traces]
    rows = [row for row in file.rows[:-1] if row.name in pairs]
    chosen: set[int] = set()
    for place in where.split(","):
        place = place.strip()
        if place in ("all", "backbone", "neck"):
            part = {"backbone": "backbone", "neck": "head"}.get(place)
            chosen |= {row.index for row in rows if part in (None, row.part)}
        elif re.fullmatch(r"P\d", place):
            chosen |= {row.index for row in rows if levels[row.index] == int(place[1])}
        elif place.isdigit():
            index = int(place)
            if index not in {row.index for row in rows}:
                is_what = f"is {file.rows[index].name}" if index < len(file.rows) else "does not exist"
                raise ModelFileError(f"--where {place}: row {index} of {file.name} {is_what}, not {' or '.join(pairs)}")
            chosen.add(index)
        else:
            raise ModelFileError(f"--where {place}: use backbone, neck, all, levels P1 to P7 or row numbers")
    for left in pairs:
        if not any(file.rows[i].name == left for i in chosen):
            there = defaultdict(list)
            for row in rows:
                there[f"{row.name} in the {'backbone' if row.part == 'backbone' else 'neck'}"].append(
                    f"{row.index} (P{levels[row.index]})"
                )
            found = "; ".join(f"{what}: row {', '.join(at)}" for what, at in there.items())
            raise ModelFileError(f"--where {where} matches no {left} in {file.name}; there is {found}")
    return chosen


def _by_row(rights: set[str], options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Options of each new row's name: given once for all blocks, or by block row."""
    from yoloplug.hosts import host_names

    if options and set(options) <= rights and all(isinstance(v, Mapping) for v in options.values()):
        return {right: dict(options.get(right, {})) for right in rights}
    return {right: dict(options) for right in rights & {*host_names()}}


def _changed_widths(new: ModelFile, before: list[Any], after: list[Any], plan: Insertions) -> list[str]:
    """Notes on rows that give another width than the stock row. Raises ModelFileError for maps of another size."""
    notes = []
    for i in plan.added:
        (given, *_), (made, *_) = after[i].inputs, after[i].outputs
        name = new.rows[i].name
        if given[1:] != made[1:]:
            raise ModelFileError(f"{new.where(i)}: {name} makes {given} {made}; an inserted row keeps the map's size")
        if given != made:
            notes.append(f"row {i}: {name} makes {given[0]} channels {made[0]}, which later rows read")
    for i, old in zip(plan.new, before, strict=True):
        name, made = new.rows[i].name, after[i]
        if [shape[1:] for shape in old.outputs] != [shape[1:] for shape in made.outputs]:
            raise ModelFileError(f"{new.where(i)}: {name} gives {made.outputs}, the stock row {old.outputs}")
        if old.outputs != made.outputs and old.inputs == made.inputs:
            wide, stock = made.outputs[0][0], old.outputs[0][0]
            notes.append(f"row {i}: {name} is {wide} channels wide, the stock row {stock}: {name} obeys the scale")
    return notes


def _scales_that_fail(new: ModelFile) -> list[str]:
    """One note for each other scale of the file at which a block refuses its width."""
    notes = []
    for scale in new.model.get("scales") or {}:
        if scale != new.model["scale"]:
            try:
                build({**new.model, "scale": scale})
            except RowError as error:
                notes.append(f"scale {scale} cannot be built: {error}")
    return notes


def _match_text(file: ModelFile, match: CostMetric, found: Matched) -> str:
    scale = f"scale {file.model['scale']}: " if file.model.get("scales") else ""
    width, hidden = scaling(file.model)[1], found.change.hidden
    done = f"width {width:g} -> {found.change.width:g}"
    if hidden:
        done = (
            f"hidden width e = {', '.join(f'{e:g}' for _, e in hidden)} in row {', '.join(str(i) for i, _ in hidden)}"
        )
    others = "; other scales are not matched" if len(file.model.get("scales") or {}) > 1 else ""
    return f"{scale}{done}, {match} {100 * found.off:+.1f} % of stock{others}"


def _off(value: int, stock: int) -> str:
    return f"{100 * (value / stock - 1):+.1f} %"
