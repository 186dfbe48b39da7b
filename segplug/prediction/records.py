"""One JSON record a finished source: what made its results. It is written last, so what has one is complete."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segplug.errors import SegplugError
from segplug.prediction.job import Result
from segplug.prediction.sources import Source
from yoloplug.files import write_json


@dataclass(frozen=True)
class Record:
    """saved: kinds of results. row: figures for predictions.csv. files: results, relative to the output folder.

    annotations: COCO's.
    """

    source: str
    size_bytes: int
    modified_ns: int
    settings: dict[str, Any]
    saved: list[str]
    row: dict[str, str | float]
    files: list[str]
    annotations: list[dict[str, Any]] = field(default_factory=list)


class Records:
    """The records of an output folder, `records/NAME.json`. settings: all that decides a result; save: kinds wanted."""

    def __init__(self, out: Path, settings: dict[str, Any], save: Sequence[str], overwrite: bool) -> None:
        self.out, self.settings, self.save, self.overwrite = out, settings, list(save), overwrite

    def finished(self, source: Source) -> Record | None:
        """The record of `source` if all that is wanted is there, as these settings would give it again.

        Raises SegplugError when the name is taken by the results of another file.
        """
        record = self._read(self._path(source))
        if self.overwrite or record is None:
            return None
        if not _is_of(record, source) and record.source != str(source.path.resolve()):
            raise SegplugError(
                f"{self.out} holds results called {source.name} of another file, {record.source}; choose another "
                f"folder for those of {source.path}, or overwrite"
            )
        return record if self._holds(record, source) and set(self.save) <= set(record.saved) else None

    def discard(self, source: Source) -> Record | None:
        """Remove what other settings or another file gave; return the record of what stays valid."""
        path = self._path(source)
        record = self._read(path)
        if record is None or (self._holds(record, source) and not self.overwrite):
            return record
        path.unlink()
        for file in record.files:
            (self.out / file).unlink(missing_ok=True)
        return None

    def write(self, source: Source, result: Result, earlier: Record | None) -> Record:
        """Declare `source` finished, with what `earlier` holds besides."""
        stat = source.path.stat()
        files = [file.relative_to(self.out).as_posix() for file in result.files]
        annotations = result.annotations
        if earlier is not None and "coco" not in self.save:
            annotations = earlier.annotations
        record = Record(
            str(source.path.resolve()),
            stat.st_size,
            stat.st_mtime_ns,
            self.settings,
            sorted({*self.save, *(earlier.saved if earlier else ())}),
            result.row,
            sorted({*files, *(earlier.files if earlier else ())}),
            annotations,
        )
        write_json(self._path(source), asdict(record), indent=None)
        return record

    def all(self) -> list[Record]:
        """Of every finished source in the folder, by name."""
        found = (self._read(path) for path in sorted((self.out / "records").rglob("[!.]*.json")))
        return [record for record in found if record is not None]

    def _holds(self, record: Record, source: Source) -> bool:
        complete = all((self.out / file).is_file() for file in record.files)
        return complete and _is_of(record, source) and record.settings == self.settings

    def _path(self, source: Source) -> Path:
        return self.out / "records" / f"{source.name}.json"

    def _read(self, path: Path) -> Record | None:
        if not path.is_file():
            return None
        try:
            return Record(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise SegplugError(f"{path}: not a record of segplug ({error}); delete it") from error


def _is_of(record: Record, source: Source) -> bool:
    stat = source.path.stat()
    return (record.size_bytes, record.modified_ns) == (stat.st_size, stat.st_mtime_ns)
