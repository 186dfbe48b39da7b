"""Read a small CSV by its column names."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from segplug.data.text_files import read_text
from segplug.errors import SegplugError


def columns(path: Path) -> list[str]:
    """The names in the first row, lower case; empty for a file that is no text."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            return [name.strip().lower() for name in next(csv.reader(handle), [])]
    except (UnicodeDecodeError, csv.Error):
        return []


def read_table(path: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    """Rows as column -> text, with `line` for messages. Raises SegplugError on a missing column or a broken row."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    rows = []
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise SegplugError(
                f"{path}: no column {', '.join(missing)} in the first row (found: {', '.join(names) or 'none'}); add it"
            )
        for values in reader:
            if values and len(values) != len(names):
                raise SegplugError(
                    f"{path}, line {reader.line_num}: {len(values)} values for {len(names)} columns; quote commas"
                )
            if values:
                rows.append({**dict(zip(names, map(str.strip, values), strict=True)), "line": str(reader.line_num)})
    except csv.Error as error:
        raise SegplugError(f"{path}, line {reader.line_num}: no row of a CSV ({error})", "redo it") from error
    if not rows:
        raise SegplugError(f"{path}: no row under the column names", "add one an image")
    return rows
