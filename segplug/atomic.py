"""Files that are either whole or absent, whatever kills the process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from segplug.errors import SegplugError

__all__ = ["atomic_path", "json_writer", "write_atomic"]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A hidden file beside `path`, of the same suffix; it takes the name `path` when the block ends without an error.

    Otherwise it is deleted and an earlier `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        with part.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_atomic(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill the file of `atomic_path`. Raises SegplugError when it cannot be written."""
    try:
        with atomic_path(path) as part:
            write(part)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        kept = f"the earlier {path.name} is kept; " if path.exists() else ""
        raise SegplugError(f"cannot write {path} ({error}); {kept}free disk space or choose another folder") from error


def json_writer(value: Any, indent: int | None = 2) -> Callable[[Path], None]:
    """For `write_atomic`: `value` as JSON, indented, or on one line (None)."""

    def write(path: Path) -> None:
        path.write_text(json.dumps(value, indent=indent) + "\n", encoding="utf-8")

    return write
