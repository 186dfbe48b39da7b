"""The table of epochs that a training wrote: Ultralytics' results.csv, segplug's metrics.csv."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from experiments.errors import SpecError


def read_epochs(path: Path, remedy: str, needed: Sequence[str] = ("epoch",)) -> list[dict[str, float]]:
    """A row an epoch, a column a key, empty cells left out (not of `needed`); a repeated epoch comes again.

    Raises SpecError, ending in `remedy`, on a table that is missing, cut, edited or none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        names, *rows = list(csv.reader(io.StringIO(text, newline=""))) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"{path} is no table of epochs ({error}); {remedy}") from error
    names = [name.strip() for name in names]
    if missing := [name for name in needed if name not in names]:
        raise SpecError(f"{path} is no table of epochs: no column {', '.join(missing)}; {remedy}")
    if not text.endswith("\n"):
        raise SpecError(f"{path}: its last line is cut; {remedy}")
    table = []
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise SpecError(f"{path}, line {number}: {len(row)} values for {len(names)} columns; {remedy}")
        try:
            values = {name: float(value) for name, value in zip(names, row, strict=True) if name and value.strip()}
        except ValueError as error:
            raise SpecError(f"{path}, line {number}: {error}; {remedy}") from error
        if not set(needed) <= values.keys() or not values.get("epoch", 0.0).is_integer():
            raise SpecError(f"{path}, line {number}: no whole epoch, or no {', '.join(needed)}; {remedy}")
        table.append(values)
    return table
