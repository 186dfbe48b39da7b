"""What a transfer did, as a table and in two lines."""

from __future__ import annotations

import io
import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from yoloplug.names import printable
from yoloplug.weights.outcome import Outcome, PlacedRow

_WIDE = 1000
"""Columns where nobody looks: no cell is broken into lines."""


@dataclass(frozen=True)
class Transferred:
    """source, target: names of the files. output: the checkpoint that was written. notes: how the network was built."""

    outcome: Outcome
    source: str
    target: str
    output: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def _name(self) -> str:
        return Path(self.source).name

    @property
    def placed(self) -> float:
        """Share of the source's parameters that are in the changed network."""
        return self.outcome.placed / max(self.outcome.params, 1)

    def __str__(self) -> str:

        text = io.StringIO()
        self.print(Console(file=text, width=_WIDE, color_system=None))
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def print(self, console: Console) -> None:
        """The whole table; colours and the terminal's width where the console has them."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name, side in (
            ("row", "right"),
            ("layer", "left"),
            ("from row", "left"),
            ("carried", "right"),
            ("", "left"),
        ):
            table.add_column(name, justify=side, no_wrap=name != "", overflow="fold")  # type: ignore[arg-type]
        for row in self.outcome.rows:
            style = "" if row.carried == row.target.params else "yellow" if row.source else "green"
            table.add_row(*(_text(cell) for cell in _cells(row)), style=style)
        for note in self.notes:
            console.print(_text(note))
        console.print(table)
        for left in self.outcome.removed:
            console.print(_text(f"left out: row {left.index} {left.kind} of {self._name}, {left.params:,} parameters"))
        console.print()
        console.print(_text(self.summary), style="bold")
        for line in self.advice:
            console.print(_text(line))

        if self.output is not None:
            console.print(_text(f"wrote {self.output}; train it: yolo train model={self.output} …"))

    @property
    def fresh_blocks(self) -> bool:
        """Whether a block of ours has started fresh."""
        return any(row.fresh_blocks for row in self.outcome.rows)

    @property
    def summary(self) -> str:
        """`97.3 % of yolov8n.pt's parameters placed, 0 in another layer (by row number, …: 34 %, of these 7.4 % …)`"""
        found = self.outcome
        text = f"{_share(found.placed, found.params)} of {self._name}'s parameters placed, 0 in another layer"
        if (found.by_number, found.astray) == (found.placed, 0):
            return text
        astray = f", of these {_share(found.astray, found.params)} in another layer" if found.astray else ""
        return f"{text} (by row number, as without yoloplug: {_share(found.by_number, found.params)}{astray})"

    @property
    def advice(self) -> list[str]:
        """One line where much of the source met layers of another width, else none."""
        found = self.outcome
        if found.resized < 0.1 * found.params:
            return []
        share = _share(found.resized, found.params)
        return [f"{share} met layers of another width: a YAML of the source's widths takes them (swap without --match)"]

    def short(self) -> list[str]:
        """What stands in the log of a training: the sum, which rows are new, and where the table is to be had."""
        new = [f"{row.target.index} {row.target.kind}" for row in self.outcome.rows if row.source is None]
        partly = [row for row in self.outcome.rows if row.source and row.carried < row.target.params]
        told = [f"row {', '.join(new)} inserted"] if new else []
        if partly:
            told.append(f"partly or all fresh: row {', '.join(str(row.target.index) for row in partly)}")
        keep = ", and its function kept with --preserve -o init.pt" if self.fresh_blocks else ""
        table = f"row by row{keep}: {shlex.join(['yoloplug', 'transfer', self.source, self.target])}"
        return [self.summary, *self.advice, *self.notes, "; ".join([*told, table])]


def _cells(row: PlacedRow) -> tuple[str, ...]:
    share = _share(row.carried, row.target.params) if row.target.params else ""
    origin = f"{row.source.index} {row.source.kind}" if row.source else "-"
    return str(row.target.index), row.target.kind, origin, share, "; ".join(row.notes)


def _share(part: int, whole: int) -> str:
    """`97.3 %`; 100 % is all of it, 0 % is nothing."""
    share = 100 * part / max(whole, 1)
    if part in (0, whole):
        return f"{share:.0f} %"
    return f"{min(max(share, 0.1), 99.9):.1f} %"


def _text(text: str) -> Text:
    """Names of files may hold what a terminal would obey."""
    return Text(printable(text))
