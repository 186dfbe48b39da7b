"""Is a model file as it was written, and does it hold what its readers rely on?

torch's archives carry a checksum of every part, which `torch.load` never looks at, and our checkpoints a SHA-256 of
their weights; ONNX has neither, so ours are sealed with a SHA-256 of the whole file, counted with zeros in the seal's
own place.
"""

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from segplug.errors import SegplugError

SEAL = "sha256"
EMPTY_SEAL = "0" * 64
_SEALED = re.compile(rb'segplug\.sha256.{0,8}?"([0-9a-f]{64})"', re.DOTALL)
_NO_ZIP = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, struct.error, zlib.error)
TORCH_REFUSES = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, UnpicklingError)
"""What torch raises on an archive whose contents are not what it wrote."""
_FOLDER = 0x10
_REMEDY = "copy it again, or use another"


def check_archive(path: Path) -> None:
    """Raise SegplugError unless `path` is an archive of torch whose every part has its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():  # not `testzip`, which looks names up and so skips one of two equal ones
                if part.external_attr & _FOLDER:  # torch would take whatever lies in memory for its contents
                    raise zipfile.BadZipFile(f"{part.filename} is marked as a folder")
                with archive.open(part) as content:
                    while content.read(1 << 20):
                        pass
    except _NO_ZIP as error:
        raise SegplugError(f"{path}: not a readable model: damaged, or no torch archive ({error})", _REMEDY) from error


def seal(path: Path) -> None:
    """Put the checksum into an ONNX file that holds EMPTY_SEAL under SEAL."""
    data = path.read_bytes()
    place = _SEALED.search(data)
    assert place is not None and place[1] == EMPTY_SEAL.encode()
    path.write_bytes(data[: place.start(1)] + hashlib.sha256(data).hexdigest().encode() + data[place.end(1) :])


def check_seal(path: Path) -> None:
    """Raise SegplugError on a sealed ONNX file that was changed. Files from before there was a seal pass."""
    data = path.read_bytes()
    place = _SEALED.search(data)
    if place is None:
        return
    bare = data[: place.start(1)] + EMPTY_SEAL.encode() + data[place.end(1) :]
    if hashlib.sha256(bare).hexdigest().encode() != place[1]:
        raise SegplugError(f"{path}: damaged: it differs from its checksum", _REMEDY)


def check_about(path: Path, about: Any) -> None:
    """Raise SegplugError unless `about`, what an exported file tells of itself, has what predicting needs."""
    require(path, about, {"threshold": (int, float), "size_multiple_px": int})
    if not (0 < about["threshold"] < 1 and 1 <= about["size_multiple_px"] <= 1024):
        shown = ", ".join(f"{key} {about[key]}" for key in ("threshold", "size_multiple_px"))
        raise SegplugError(f"{path}: its metadata is damaged ({shown})", "export it again")


def require(path: Path, contents: Any, kinds: Mapping[str, type | tuple[type, ...]]) -> None:
    """Raise SegplugError unless what stands at each place ("segplug.row.epoch") is of its kind."""
    for place, kind in kinds.items():
        value = contents
        for key in place.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            found = "missing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
            raise SegplugError(f"{path}: not a whole model file: {place} is {found}", _REMEDY)
