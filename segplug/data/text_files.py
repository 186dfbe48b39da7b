"""Text and JSON files of data, within limits. `segplug.yaml_file` reads settings."""

import json
from pathlib import Path
from typing import Any

from segplug.errors import SegplugError

MAX_BYTES = 1 << 30


def is_file(path: Path) -> bool:
    """Whether there is such a file, also of names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path) -> str:
    """UTF-8, with or without byte order mark. Raises SegplugError on a missing, a huge, and no text file."""
    try:
        if not is_file(path):  # a device would never end
            raise SegplugError(f"{path}: no such file")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise SegplugError(f"{path}: {size} bytes, more than {MAX_BYTES} are not read", "split the file")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SegplugError(f"{path}: not a text file in UTF-8 ({error.reason})", "restore or remove it") from error
    except OSError as error:
        raise SegplugError(f"{path}: cannot be read ({error.strerror})") from error
    if "\0" in text:
        raise SegplugError(f"{path}: holds NUL bytes, so it is no text file", "restore or remove it")
    return text


def read_json(path: Path) -> Any:
    """Raises SegplugError where there is no JSON."""
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise SegplugError(f"{path}: not readable as JSON (lists in lists too deep)", "export it again") from error
    except ValueError as error:
        if isinstance(error, SegplugError):
            raise
        raise SegplugError(f"{path}: not readable as JSON ({error})", "export it again") from error
