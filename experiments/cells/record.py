"""Facts about a run that its row carries: commit, versions, hardware, content of the data."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.errors import SpecError
from yoloplug.cost.machine import cpu_name

_REPOSITORY = Path(__file__).resolve().parents[2]
_CODE = ("yoloplug", "segplug", "experiments", "model_yamls")
_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "ultralytics": "ultralytics",
    "smp": "segmentation-models-pytorch",
    "lightning": "lightning",
    "albumentations": "albumentations",
    "pycocotools": "pycocotools",
    "numpy": "numpy",
    "yoloplug": "yoloplug",
}


def environment() -> dict[str, Any]:
    """Commit and versions now. `dirty`: code differs from the commit; None outside a git checkout."""
    status = _git("status", "--porcelain", "--", *_CODE)
    return {
        "commit": _git("rev-parse", "HEAD") or "unknown",
        "dirty": None if status is None else bool(status),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": cpu_name(),
        "cores": os.cpu_count(),
        "versions": {name: _version(package) for name, package in _PACKAGES.items()},
    }


def hash_files(files: Iterable[Path]) -> str:
    """First 16 hex digits of SHA-256 over relative names and contents; the place on disk does not matter."""
    paths = list(files)
    root = Path(os.path.commonpath([path.parent for path in paths]))
    entries = {path.relative_to(root).as_posix(): path for path in paths}
    total = hashlib.sha256()
    for name in sorted(entries):
        total.update(name.encode() + b"\0" + hashlib.sha256(entries[name].read_bytes()).digest())
    return total.hexdigest()[:16]


def read_json(path: Path, delete: str = "it") -> Any:
    """Raises SpecError on a file that is cut or none; `delete`: what must go so that `run` writes it again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not JSON ({error}); delete {delete} and run the spec again") from error


def commit_time(file: Path) -> str | None:
    """When the file was committed as it is now, ISO 8601; None where it was not, or there is no git."""
    here = file.resolve().parent
    if _git("status", "--porcelain", "--", file.name, folder=here) != "":
        return None
    return _git("log", "-1", "--format=%cI", "--", file.name, folder=here) or None


def _git(*arguments: str, folder: Path = _REPOSITORY) -> str | None:
    if folder == _REPOSITORY and not (_REPOSITORY / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
