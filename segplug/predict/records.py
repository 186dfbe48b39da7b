"""One JSON record a finished source: what made its results. It is written last, so what has one is complete."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segplug.atomic import json_writer, write_atomic
from segplug.errors import SegplugError
from segplug.predict.sources import Source

__all__ = ["Record", "Records"]


@dataclass(frozen=True)
class Record:
    """row: figures for predictions.csv. files: results, relative to the output folder. annotations: COCO's."""

    source: str
    size_bytes: int
    modified_ns: int
    settings: dict[str, Any]
    row: dict[str, str | float]
    files: list[str]
    annotations: list[dict[str, Any]] = field(default_factory=list)


class Records:
    """The records of an output folder, `records/NAME.json`."""

    def __init__(self, out: Path, settings: dict[str, Any], overwrite: bool) -> None:
        self.out, self.settings, self.overwrite = out, settings, overwrite

    def finished(self, source: Source) -> Record | None:
        """The record of `source` if its results are complete and what these settings would give again.

        Raises SegplugError when the name is taken by the results of another file.
        """
        if self.overwrite or (record := self._read(source)) is None:
            return None
        stat = source.path.stat()
        same_file = (record.size_bytes, record.modified_ns) == (stat.st_size, stat.st_mtime_ns)
        if not same_file and record.source != str(source.path.resolve()):
            raise SegplugError(
                f"{self.out} holds results called {source.name} of another file, {record.source}; choose another "
                f"folder for those of {source.path}, or overwrite"
            )
        complete = all((self.out / file).is_file() for file in record.files)
        return record if same_file and complete and record.settings == self.settings else None

    def write(self, source: Source, row: dict[str, str | float], files: list[Path], annotations: list[Any]) -> Record:
        """Declare `source` finished."""
        stat = source.path.stat()
        record = Record(
            str(source.path.resolve()),
            stat.st_size,
            stat.st_mtime_ns,
            self.settings,
            row,
            [file.relative_to(self.out).as_posix() for file in files],
            annotations,
        )
        write_atomic(self._path(source), json_writer(asdict(record), indent=None))
        return record

    def discard(self, source: Source) -> None:
        """Results are about to be replaced: until they are, the source is not finished."""
        self._path(source).unlink(missing_ok=True)

    def _path(self, source: Source) -> Path:
        return self.out / "records" / f"{source.name}.json"

    def _read(self, source: Source) -> Record | None:
        path = self._path(source)
        if not path.is_file():
            return None
        try:
            return Record(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise SegplugError(f"{path}: not a record of segplug ({error}); delete it") from error
