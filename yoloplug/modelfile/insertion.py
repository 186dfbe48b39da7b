"""Rows put into a model YAML: whoever read the row before them reads them, and every later number follows.

The graph without the inserted rows is the graph of the source. Absolute inputs stay absolute, relative ones relative;
the layout of the file and its comments stay, but for a row's own number in the comment behind it (`# 12`, `# F4 (24)`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from yoloplug.modelfile.file import Edit, ModelFile, ModelFileError, Row, flow
from yoloplug.modelfile.report import level

_SEVERAL_MAPS = frozenset({"CBLinear", "ImagePoolingAttn"})
"""Modules whose output is a list, even of one map."""


class Insertion(NamedTuple):
    """A row `[-1, 1, name, args]` behind row `after` of the source."""

    name: str
    args: list[Any]
    after: int


class Insertions(NamedTuple):
    """What insertions do to the numbers of rows.

    rows: in the order of the file. old: row of the source at each new index, None where it is inserted.
    """

    rows: Sequence[Insertion]
    old: list[int | None]

    def with_options(self, options: Mapping[str, dict[str, Any]]) -> Insertions:
        """Options by a row's name put into the rows; what a row says itself wins."""

        def given(row: Insertion) -> Insertion:
            own = row.args[-1] if row.args and isinstance(row.args[-1], dict) else {}
            said = {**options.get(row.name, {}), **own}
            return row._replace(args=[*(row.args[:-1] if own else row.args), *([said] if said else [])])

        return self._replace(rows=[given(row) for row in self.rows])

    @property
    def new(self) -> list[int]:
        """The new index of each row of the source."""
        return [i for i, row in enumerate(self.old) if row is not None]

    @property
    def added(self) -> list[int]:
        """The new indices of the inserted rows."""
        return [i for i, row in enumerate(self.old) if row is None]

    def sources(self, row: Row) -> int | list[int]:
        """The `from` of a row of the source, as it must be now."""
        now = [self.moved(row.index, given) for given in _listed(row.source)]
        return now if isinstance(row.source, list) else now[0]

    def moved(self, index: int, given: int) -> int:
        """One number of row `index`'s `from`."""
        read = index + given if given < 0 else given
        if read < 0:  # the image
            return given
        end = self.new[read + 1] - 1  # the last row inserted behind the one that was read, or that row itself
        return end - self.new[index] if given < 0 else end

    def edits(self, file: ModelFile) -> list[Edit]:
        """Of the source's text: new rows, inputs, and row numbers in comments."""
        edits = [edit for row in file.rows for edit in self.numbers(file, row.index)]
        for after in dict.fromkeys(row.after for row in self.rows):
            new = {i: row for i, row in zip(self.added, self.rows, strict=True) if row.after == after}
            edits.append(_new_rows(file, after, new))
        return edits

    def text(self, file: ModelFile) -> list[str]:
        """What changed, in words."""
        said = [
            f"row {i}: {row.name} inserted after row {row.after} ({file.rows[row.after].name})"
            for i, row in zip(self.added, self.rows, strict=True)
        ]
        moved = []
        for row in file.rows:
            if (now := self.sources(row)) != row.source:
                moved.append(f"{self.new[row.index]} ({row.name}) {row.source} -> {now}")
        return [*said, *([f"inputs renumbered: row {', row '.join(moved)}"] if moved else [])]

    def numbers(self, file: ModelFile, index: int) -> list[Edit]:
        """The edits of one row of the source."""
        row, edits = file.rows[index], []
        start, end = row.spans["from"]
        if (now := self.sources(row)) != row.source:
            values = iter(map(str, _listed(now)))
            edits.append((start, end, re.sub(r"-?\d+", lambda _: next(values), file.text[start:end])))
        behind = row.spans["row"][1]
        comment = re.compile(rf"(?m)[^\n#]*#(?:[ \t]*|[^\n]*?\()({index})(?![\w.])").match(file.text, behind)
        if comment and self.new[index] != index:
            edits.append((*comment.span(1), str(self.new[index])))
        return edits


def planned(
    file: ModelFile, traces: list[Any], wishes: Sequence[tuple[str, int | str]], part: str, imgsz: int
) -> Insertions:
    """wishes: (block, place) in order: `gnConv` or `gnConv[256, 3, 1, {order: 3}]`, and 4, `P3` or `4,P5`.

    traces: the file's, at `imgsz`. part: `backbone` or `head`, where levels are looked up. Raises ModelFileError.
    """
    rows = [
        Insertion(*_block(text), after) for text, place in wishes for after in _places(file, traces, place, part, imgsz)
    ]
    rows.sort(key=lambda row: row.after)
    old: list[int | None] = []
    for row in file.rows:
        old += [row.index, *(None for new in rows if new.after == row.index)]
    return Insertions(rows, old)


def _listed(source: int | list[int]) -> list[int]:
    return source if isinstance(source, list) else [source]


def _block(text: str) -> tuple[str, list[Any]]:
    found = re.fullmatch(r"\s*([\w.]+)\s*(\[.*\])?\s*", text, re.DOTALL)
    try:
        args = yaml.safe_load(found[2] or "[]") if found else None
    except yaml.YAMLError:
        args = None
    if found is None or not isinstance(args, list):
        raise ModelFileError(f"{text!r} is not a row to insert, such as gnConv or 'gnConv[256, 3, 1, {{order: 3}}]'")
    return found[1], args


def _places(file: ModelFile, traces: list[Any], place: int | str, part: str, imgsz: int) -> list[int]:
    """Rows behind which to insert: each a row number, or the last row of a level in the part."""
    levels = [level(t.outputs[0] if t.outputs else None, imgsz) for t in traces]
    rows = []
    for word in str(place).split(","):
        word = word.strip()
        if re.fullmatch(r"P\d", word):
            there = {levels[row.index]: row.index for row in file.rows[:-1] if row.part == part}
            if int(word[1]) not in there:
                known = ", ".join(f"P{p} (row {i})" for p, i in sorted((p, i) for p, i in there.items() if p))
                where = "backbone" if part == "backbone" else "neck"
                raise ModelFileError(f"{file.name}: its {where} has no map of level {word}; it has {known}")
            rows.append(there[int(word[1])])
        elif re.fullmatch(r"\d+", word):
            rows.append(int(word))
        else:
            raise ModelFileError(f"--after {word}: use a row number of {file.name} or a level, P1 to P7")
    for index in rows:
        if index >= len(file.rows) - 1:
            raise ModelFileError(
                f"--after {index}: nothing can stand there; {file.name} has rows to insert after from 0 to "
                f"{len(file.rows) - 2}"
            )
        if file.rows[index].name in _SEVERAL_MAPS or [len(shape) for shape in traces[index].outputs] != [3]:
            raise ModelFileError(
                f"{file.where(index)}: {file.rows[index].name} gives several maps, no row can follow it"
            )
    return rows


def _new_rows(file: ModelFile, after: int, rows: Mapping[int, Insertion]) -> Edit:
    """The edit that writes the rows, by new index, behind row `after`, in the layout of the list around it."""
    start, end = file.rows[after].spans["row"]
    line = file.text.rfind("\n", 0, start) + 1
    in_block = file.text[line:start].strip() == "-"
    rest = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?=\r?\n|\Z)" if in_block else r"[ \t]*,[ \t]*(?:#[^\r\n]*)?(?=\r?\n)")
    written = {i: f"[-1, 1, {row.name}, {flow(row.args)}]" for i, row in rows.items()}
    if (found := rest.match(file.text, end)) is None:  # several rows on one line
        return end, end, "".join(f", {row}" for row in written.values())
    newline = "\r\n" if "\r\n" in file.text else "\n"
    before, behind = (file.text[line:start], "") if in_block else (" " * (start - line), ",")
    lines = [f"{newline}{before}{row}{behind}  # {i}, inserted" for i, row in written.items()]
    return found.end(), found.end(), "".join(lines)
