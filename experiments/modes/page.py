"""docs/modes.md: the two tables, made from the rows."""

from __future__ import annotations

from collections.abc import Sequence

import yoloplug
from experiments.modes.cells import Row
from experiments.modes.modes import FAMILIES, MODES
from experiments.modes.names import CASES, MISSING

HEAD = """\
# Which modes work with which blocks?

Every cell is a run of `python -m experiments.modes` on a CPU, with the smallest models and images that can show it
({versions}). The rows are in `experiments/results/modes.jsonl`.

## Modes

A yolov8n with a block of each family in its C2f rows of P3. Exports are loaded again and compared with the checkpoint;
`bf16` trains in autocast, `half` compares float16 with float32, `freeze` compares the frozen weights, `resume` counts
epochs.

"""
NAMES = """\

## Names

How many of a block's names (`X`, `C2f_X`, `C3_X`, `C3k2_X`) build, learn one step with finite gradients, give the same
outputs after `fuse()`, and export to TorchScript, as rows inserted into the stock model. {missing}

"""


def page(rows: Sequence[Row]) -> str:
    notes: dict[str, int] = {}
    versions = sorted({f"ultralytics {row['ultralytics']}, torch {row['torch']}" for row in rows})
    text = HEAD.format(versions="; ".join(versions))
    modes = {(row["row"], row["column"]): row for row in rows if row["table"] == "modes"}
    lines = ["| family | block | " + " | ".join(MODES) + " |", "|---|---|" + ":-:|" * len(MODES)]
    for family, block in FAMILIES.items():
        cells = [_mode_cell(modes.get((family, mode)), notes) for mode in MODES]
        lines.append(f"| {family} | {block or 'C2f'} | " + " | ".join(cells) + " |")
    text += "\n".join(lines) + "\n"
    lacking = ", ".join(f"{family} {task}" for family, task in MISSING)
    text += NAMES.format(missing=f"Ultralytics has no model for {lacking}.")
    names = {(row["row"], row["column"]): row for row in rows if row["table"] == "names"}
    columns = [f"{family} {task}" for family, task in CASES]
    lines = ["| block | " + " | ".join(columns) + " |", "|---|" + ":-:|" * len(columns)]
    for entry in sorted(yoloplug.BLOCKS.values(), key=lambda b: b.name.lower()):
        cells = [_name_cell([names.get((name, column)) for name in entry.hosts], notes) for column in columns]
        lines.append(f"| {entry.name} | " + " | ".join(cells) + " |")
    text += "\n".join(lines) + "\n"
    if notes:
        text += "\n" + "\n".join(f"{number}. {note}" for note, number in notes.items()) + "\n"
    return text


def _noted(note: str, notes: dict[str, int]) -> str:
    return f"({notes.setdefault(note, len(notes) + 1)})"


def _said(row: Row) -> str:
    return str(row["why"]).replace("|", "/").replace("<", "(").replace(">", ")").split("\n")[0]


def _mode_cell(row: Row | None, notes: dict[str, int]) -> str:
    if row is None:
        return "not run"
    return "yes" if not row["failed"] else "no " + _noted(_said(row), notes)


def _name_cell(rows: Sequence[Row | None], notes: dict[str, int]) -> str:
    done = [row for row in rows if row is not None]
    if not done:
        return "not run"
    good = sum(not row["failed"] for row in done)
    marks = {_noted(f"{row['row']}, {row['failed']}: {_said(row)}", notes) for row in done if row["failed"]}
    return f"{good}/{len(rows)}" + "".join(f" {mark}" for mark in sorted(marks))
