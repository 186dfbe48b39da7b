"""Facts about a run that its row carries: commit, versions, hardware, content of the data."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.spec.strict import SpecError

__all__ = ["ROW_SCHEMA", "environment", "hash_files", "read_json", "write_files", "write_json", "write_text"]

ROW_SCHEMA = 1

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
        "processor": _processor(),
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
    except (OSError, ValueError) as error:
        raise SpecError(f"{path} is not JSON ({error}); delete {delete} and run the spec again") from error


def write_json(path: Path, content: Any) -> None:
    """Write all or nothing: a reader never sees half a file. NaN is refused; use None."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False))


def write_text(path: Path, text: str) -> None:
    """Write all or nothing, as `write_files`."""
    write_files({path: text.encode()})


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write all files or none; on a full disk the earlier ones stay and no rest is left."""
    parts = {path: path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.part") for path in contents}
    for path in contents:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        for path, content in contents.items():
            with parts[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, part in parts.items():
            part.replace(path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _git(*arguments: str) -> str | None:
    if not (_REPOSITORY / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=_REPOSITORY, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
