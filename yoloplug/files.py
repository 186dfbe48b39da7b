"""The one way in which this project writes a file: it is either whole or absent, whatever kills the process.

The text goes to a hidden file beside the target, with a short name of its own, and takes the target's name when all of
it lies on the disk. A process that is killed leaves that hidden file behind; `remove_leftovers` takes it away.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import platform
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_numbers = itertools.count()
_FORMULA = re.compile(r"'*\s*[=+\-@]")


class WriteError(OSError):
    """`path` could not be written; the message says why, what is kept and what to do."""

    def __init__(self, path: Path, cause: Exception) -> None:
        kept = f"the earlier {path.name} is kept; " if path.exists() else ""
        super().__init__(f"cannot write {path} ({cause}); {kept}free disk space or choose another folder")
        self.path, self.cause = path, cause
        self.errno = getattr(cause, "errno", None)

    def __str__(self) -> str:
        return str(self.args[0])


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path beside `path`, of the same suffix, to write to; it becomes `path` when the block ends without an error.

    Otherwise what was written is deleted and an earlier `path` stays as it was. Folders are made. A device or a pipe,
    such as /dev/stdout, is written to directly; a link's target is replaced, not the link.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path
        return
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= 16 else ""
    part = path.with_name(f".{_HOST}-{os.getpid()}-{next(_numbers)}.part{suffix}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write(path: Path, fill: Callable[[Path], Any]) -> None:
    """Let `fill` write the file that it is given and move it to `path`. Raises WriteError."""
    try:
        with atomic_path(path) as part:
            fill(part)
    except OSError as error:
        raise WriteError(path, error) from error
    except RuntimeError as error:
        if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
            raise
        raise WriteError(path, error) from error  # how torch.save reports a full disk


def write_bytes(path: Path, content: bytes) -> None:
    write(path, lambda part: part.write_bytes(content))


def write_text(path: Path, text: str) -> None:
    """UTF-8, line ends as they are in `text`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, indent: int | None = 2, allow_nan: bool = True) -> None:
    """indent: None for one line. Without `allow_nan`, NaN and infinity raise ValueError before anything is written."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=allow_nan) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A table with a header; a text that a spreadsheet would run as a formula (`=…`, `+…`, `-…`, `@…`) begins with '.

    A row may lack columns (empty cells) but has no others.
    """
    write_text(path, csv_text(columns, rows))


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """What `write_csv` writes."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    table.writerow({name: spreadsheet_cell(name) for name in columns})
    table.writerows({name: spreadsheet_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def read_csv(path: Path) -> list[dict[str, Any]]:
    """The rows that `write_csv` wrote, without the ' that it put before formulas."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: _as_given(value) for name, value in row.items()} for row in rows]


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write all files or, on a full disk, none: they take their names when the last one is whole. Raises WriteError."""
    path = next(iter(contents), Path())
    try:
        with ExitStack() as stack:
            parts = {path: stack.enter_context(atomic_path(path)) for path in contents}
            for path, part in parts.items():
                with part.open("wb") as file:
                    file.write(contents[path])
                    file.flush()
                    os.fsync(file.fileno())  # before the first takes its name
    except OSError as error:
        raise WriteError(path, error) from error


def remove_leftovers(folder: Path) -> None:
    """Delete what processes of this machine that no longer live left half written in `folder` (not below it)."""
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        found = re.match(rf"\.{_HOST}-(\d+)-\d+\.part", entry.name)
        if found and not _alive(int(found[1])):
            with suppress(OSError):
                os.unlink(entry.path)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _as_given(cell: str | None) -> str | None:
    return cell[1:] if cell and cell[0] == "'" and _FORMULA.match(cell) else cell


def spreadsheet_cell(value: Any) -> Any:
    """`value` as `write_csv` writes it: what a spreadsheet would run begins with '; a number stays, as text too."""
    if not isinstance(value, str) or not _FORMULA.match(value):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
