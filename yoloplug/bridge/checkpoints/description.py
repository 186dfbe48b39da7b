"""What a checkpoint says of itself, read without torch and without running or importing anything that it names.

A `.pt` file is a pickle. Here every class and function that it names becomes an inert stand-in that keeps what it is
given, so that the structure can be read like a document: no weights are loaded, no code of the file runs.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from yoloplug.errors import YoloplugError

LARGEST = 64 * 2**20
"""Bytes of a checkpoint's structure; a yolov8n's last.pt has 0.1 MB."""

_KNOWN = re.compile(
    r"torch\.(nn\.(modules|parameter)\..+|_utils\._rebuild_\w+|_tensor\.\w+|\w*Storage|storage\.\w+|Size|device|b?float\d+)"
    r"|ultralytics\.(nn\.(modules|tasks|distill_model)\b.*|utils\.(loss|tal)\.\w+|(yolo\.)?utils\.IterableSimpleNamespace)"
    r"|yoloplug\.(hosts|blocks|preserve)\..+|torchvision\.transforms\.(transforms|functional)\.[A-Z]\w+"
    r"|numpy\.(_?core\.multiarray\.scalar|dtype)|pathlib\..*Path|collections\.OrderedDict|builtins\.(getattr|set)"
)
"""Names that a checkpoint of a model needs."""

_TASKS = {
    "Detection": "detect", "RTDETRDetection": "detect", "Segmentation": "segment", "Pose": "pose", "OBB": "obb",
    "Classification": "classify", "SemanticSegmentation": "semantic", "Depth": "depth", "World": "detect",
}  # fmt: skip


class CheckpointError(YoloplugError):
    """A file that is no checkpoint of a model, or one that asks for more than a model needs."""


class Description(NamedTuple):
    """network: its class. classes: their names. rows: names of the model YAML's modules. ours: our names -> rows.

    made: what wrote it, ultralytics and yoloplug -> version, "" where the file does not say. foreign: names that no
    model needs, which may run any code when the file is loaded.
    """

    file: Path
    network: str
    task: str
    classes: list[str]
    scale: str
    source: str
    rows: list[str]
    ours: dict[str, list[int]]
    made: dict[str, str]
    date: str
    foreign: list[str]

    def __str__(self) -> str:
        shown = ", ".join(self.classes[:10]) + (", …" if len(self.classes) > 10 else "")
        made = " and ".join(f"{name} {version or '(version not noted)'}" for name, version in self.made.items())
        lines = [
            f"{self.file}: {self.network}, task {self.task}, {len(self.classes)} classes: {shown}",
            f"model    {self.source}{f', scale {self.scale}' if self.scale else ''}, {len(self.rows)} rows",
            f"made by  {made}{f', {self.date}' if self.date else ''}",
        ]
        for name, rows in self.ours.items():
            lines.append(f"block    {name} in row {', '.join(map(str, rows))}")
        return "\n".join(lines if self.ours else [*lines, "block    none of yoloplug"])


def describe(file: Path) -> Description:
    """Raises CheckpointError for what is no checkpoint of an Ultralytics model."""
    look_at_the_outside(file)
    found, named = _read(file)
    if not isinstance(found, dict):
        raise CheckpointError(f"{file}: holds a {_name(found)}, not a checkpoint; `yolo train` writes best.pt")
    network = found.get("ema") or found.get("model")
    yaml = _state(network).get("yaml")
    if not isinstance(yaml, dict) or not isinstance(yaml.get("head"), list):
        keys = ", ".join(map(str, list(found)[:5])) or "nothing"
        raise CheckpointError(
            f"{file}: holds {keys}, but no Ultralytics model; `yolo train` writes best.pt and last.pt"
        )
    rows = [str(row[2]) for row in [*yaml.get("backbone", []), *yaml["head"]] if isinstance(row, list) and len(row) > 2]
    hosts = {name.rpartition(".")[2] for name in named if name.startswith("yoloplug.hosts.")}
    names = _state(network).get("names") or {}
    arguments = found.get("train_args")
    task = arguments.get("task") if isinstance(arguments, dict) else None
    return Description(
        file=file,
        network=_name(network),
        task=str(task or _TASKS.get(_name(network).removesuffix("Model"), "unknown")),
        classes=[str(name) for name in (names.values() if isinstance(names, dict) else names)],
        scale=str(yaml.get("scale") or ""),
        source=str(yaml.get("yaml_file") or "a model YAML that it does not name"),
        rows=rows,
        ours={name: at for name in dict.fromkeys(rows) if name in hosts if (at := _places(rows, name))},
        made={"ultralytics": str(found.get("version") or "")} | ({"yoloplug": _noted(network)} if hosts else {}),
        date=str(found.get("date") or "")[:10],
        foreign=sorted(name for name in named if not _KNOWN.fullmatch(name)),
    )


def written_by(file: Path) -> str:
    """The version of yoloplug that wrote a checkpoint; "" where it does not say."""
    try:
        return describe(file).made.get("yoloplug", "")
    except CheckpointError:
        return ""


def look_at_the_outside(file: Path) -> None:
    """Raises CheckpointError for what is no file of `torch.save`, before anything in it is read."""
    if not file.is_file():
        raise CheckpointError(f"no checkpoint {str(file)!r} here; `yolo train` writes best.pt and last.pt")
    size = file.stat().st_size
    if size == 0:
        raise CheckpointError(f"{file}: empty; copy it again, or train again")
    with file.open("rb") as content:
        start = content.read(4)
    if zipfile.is_zipfile(file):
        try:
            with zipfile.ZipFile(file) as archive:
                members = {name.partition("/")[2] for name in archive.namelist()}  # in a folder of the file's name
        except (zipfile.BadZipFile, ValueError) as error:
            raise CheckpointError(f"{file}: damaged ({error}); copy it again, or train again") from error
        if "constants.pkl" in members:
            raise CheckpointError(f"{file}: a TorchScript archive; give the .pt that it was exported from")
        if "data.pkl" not in members:
            raise CheckpointError(f"{file}: a zip archive, but none of torch.save; give best.pt or last.pt")
    elif start == b"PK\x03\x04":
        raise CheckpointError(f"{file}: cut off ({size:,} bytes without the end); copy it again, or train again")


class _Part:
    """Stands for an instance of a class, or for what a function returned. state: what it was to be built from."""

    def __new__(cls, *args: Any, **named: Any) -> _Part:
        part = object.__new__(cls)
        part.given, part.state = args, None
        return part

    given: tuple[Any, ...]
    state: Any

    def __init__(self, *args: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *args: Any) -> _Part:
        return self

    def ignore(self, *args: Any) -> None:
        """Items of a list or dictionary of its own."""

    __setitem__ = append = extend = add = ignore


class _Dictionary(dict[Any, Any]):
    """Stands for an OrderedDict."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Reader(pickle.Unpickler):
    """Builds stand-ins only. named: every class and function that the pickle names."""

    def __init__(self, content: Any) -> None:
        super().__init__(content)
        self.named: dict[str, type] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module.replace('__builtin__', 'builtins')}.{name}"
        if full not in self.named:
            kind = _Dictionary if full == "collections.OrderedDict" else _Part
            self.named[full] = type(name.rpartition(".")[2], (kind,), {"__module__": module})
        return self.named[full]

    def persistent_load(self, pid: Any) -> None:
        """A tensor's values."""


def _read(file: Path) -> tuple[Any, set[str]]:
    if not zipfile.is_zipfile(file):
        raise CheckpointError(f"{file}: not a file of torch.save from version 1.6 on; save it again, or copy it again")
    try:
        with zipfile.ZipFile(file) as archive:
            (member,) = (m for m in archive.infolist() if m.filename.partition("/")[2] == "data.pkl")
            if member.file_size > LARGEST:
                raise CheckpointError(f"{file}: its structure has {member.file_size:,} bytes, {LARGEST:,} are read")
            with archive.open(member) as content:
                reader = _Reader(content)
                return reader.load(), set(reader.named)
    except CheckpointError:
        raise
    except _DAMAGED as error:
        raise CheckpointError(f"{file}: damaged ({type(error).__name__}); copy it again, or train again") from error


# A damaged pickle's operations may fail in any of these ways.
_DAMAGED = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile,
)  # fmt: skip


def _state(part: Any) -> dict[str, Any]:
    state = getattr(part, "state", None)
    return state if isinstance(state, dict) else {}


def _noted(network: Any) -> str:
    return next((str(_state(part)["made_with"]) for part in _parts(network) if "made_with" in _state(part)), "")


def _parts(part: Any) -> Iterator[Any]:
    waiting = [part]
    while waiting:
        one = waiting.pop()
        yield one
        inside = _state(one).get("_modules")
        waiting += inside.values() if isinstance(inside, dict) else []


def _places(rows: list[str], name: str) -> list[int]:
    return [i for i, row in enumerate(rows) if row == name]


def _name(value: Any) -> str:
    return type(value).__name__
