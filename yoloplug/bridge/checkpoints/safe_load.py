"""Checkpoints read without running code that the file carries.

A `.pt` file is a pickle, and a pickle may call any function. Here it may only build what a model consists of: torch's,
Ultralytics' and our layers, losses, tensors, numbers and paths. A file that passes can be given to stock Ultralytics,
whose own load does the same steps again.
"""

from __future__ import annotations

import enum
import importlib
import pickle
import re
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import yoloplug.blocks  # noqa: F401  (fills the registry)
from yoloplug.bridge.checkpoints.description import CheckpointError, look_at_the_outside, written_by
from yoloplug.bridge.patches.restricted import is_layer, restricted
from yoloplug.registry import BLOCKS
from yoloplug.version import __version__

# What torch.load raises on damaged bytes; a pickle's operations may fail in any of these ways.
_DAMAGED = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile,
)  # fmt: skip
_LAYERS = (
    "torch.nn.modules",
    "ultralytics.nn.modules",
    "ultralytics.nn.tasks",
    "yoloplug.hosts",
    "yoloplug.blocks",
    "yoloplug.preserve",
)
_LOSSES = ("ultralytics.utils.loss", "ultralytics.utils.tal", "ultralytics.nn.distill_model")
_PLAIN = {
    "ultralytics.utils.IterableSimpleNamespace",
    *(f"torchvision.transforms.transforms.{name}" for name in "Compose Normalize Resize CenterCrop ToTensor".split()),
    "torchvision.transforms.functional.InterpolationMode",
}
_MOVED = {
    "ultralytics.yolo.utils.IterableSimpleNamespace": "ultralytics.utils.IterableSimpleNamespace",
    "ultralytics.nn.modules.block.Silence": "torch.nn.modules.linear.Identity",
    "ultralytics.nn.tasks.YOLOv10DetectionModel": "ultralytics.nn.tasks.DetectionModel",
    "ultralytics.utils.loss.v10DetectLoss": "ultralytics.utils.loss.E2EDetectLoss",
}
"""Names in old checkpoints -> where Ultralytics has the class now."""


def read_checkpoint(file: Path) -> dict[str, Any]:
    """What `yolo train` or `YOLO.save` wrote. Raises CheckpointError, in one line, for anything else."""
    look_at_the_outside(file)
    needed = _globals_in(file)
    if missing := missing_of_ours(needed, file):
        raise CheckpointError(f"{file}: {missing}")
    allowed = {name: found for name in needed if (found := _allowed(name)) is not None}
    if refused := sorted(needed - allowed.keys()):
        raise _refusal(file, refused)
    entries: list[Any] = [(found, name) for name, found in allowed.items()]
    if any(name.startswith("numpy.") for name in needed):
        entries.append(type(np.dtype(np.float64)))
    try:
        with torch.serialization.safe_globals(entries), restricted():
            found = torch.load(file, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        if named := re.findall(r"GLOBAL (\w[\w.]*)", str(error)):  # an old file, which cannot be asked before
            raise _refusal(file, named) from error
        raise CheckpointError(
            f"{file}: damaged, or no checkpoint ({type(error).__name__}); copy it again, or give best.pt or last.pt"
        ) from error
    return _described(found, file)


def _refusal(file: Path, names: list[str]) -> CheckpointError:
    return CheckpointError(
        f"{file}: not read, because it names {', '.join(names[:3])}, which no model needs and which may run any code; "
        "if you trust who made the file, --trust reads it"
    )


def missing_of_ours(names: Iterable[str], file: Path) -> str | None:
    """Why this yoloplug cannot build a class of ours that a checkpoint names; None where it can build all."""
    for name in sorted(names):
        module, _, attribute = name.rpartition(".")
        if name.startswith("yoloplug.") and _resolved(module, attribute) is None:
            version = written_by(file)
            known = version not in ("", __version__)
            made = f"yoloplug {version}" if known else "another version, or another checkout of this one"
            wanted = f"'yoloplug=={version}'" if known else "-U yoloplug"
            return (
                f"it names {name}, which yoloplug {__version__} does not have; it was made with {made}: pip install "
                f"{wanted}; if the block is your own, import the module that registers it first"
            )
    return None


def _globals_in(file: Path) -> set[str]:
    """Functions and classes beyond torch's own plain ones that the file names."""
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise CheckpointError(f"{file}: reading it safely needs torch 2.6; you have {torch.__version__}; or --trust")
    try:
        return set(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    except ValueError:  # no zip file: torch.load says what it is, and refuses names by itself
        return set()
    except _DAMAGED as error:
        raise CheckpointError(f"{file}: damaged ({type(error).__name__}); copy it again, or train again") from error


def _allowed(name: str) -> Any:
    """What a name in a checkpoint may stand for; None where it may not be had. Imports our and known modules only."""
    if name == "builtins.getattr":
        return _attribute_of_a_layer
    if name in {f"{place}.{kind}Path" for place in ("pathlib", "pathlib._local") for kind in ("Posix", "Windows")}:
        return type(Path())
    if name in ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"):
        return np.float64().__reduce__()[0]
    if name == "numpy.dtype":
        return np.dtype
    name = _MOVED.get(name, name)
    module, _, attribute = name.rpartition(".")
    if name in _PLAIN:
        return _resolved(module, attribute)
    if module in _LOSSES:
        found = _resolved(module, attribute)
        return found if isinstance(found, type) and found.__module__ == module else None
    return layer(name)


def layer(name: str) -> type[nn.Module] | None:
    """The layer of torch, Ultralytics, yoloplug or of a registered block that a checkpoint names."""
    module, _, attribute = name.rpartition(".")
    if any(module == start or module.startswith(f"{start}.") for start in _LAYERS):
        found = _resolved(module, attribute)
        return found if is_layer(found) else None
    own = (row.cls for row in BLOCKS.values())
    return next((cls for cls in own if f"{cls.__module__}.{cls.__qualname__}" == name), None)


def _resolved(module: str, attribute: str) -> Any:
    try:
        return getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None


def _attribute_of_a_layer(owner: Any, name: str) -> Any:
    """Checkpoints hold `Detect.forward` and `InterpolationMode.BILINEAR` as calls of getattr."""
    if isinstance(owner, type) and issubclass(owner, nn.Module | enum.Enum) and not name.startswith("__"):
        return getattr(owner, name)
    if isinstance(owner, nn.Module) and name in ("forward", "forward_fuse"):
        return getattr(type(owner), name).__get__(owner)
    raise pickle.UnpicklingError(f"getattr of {name!r} on {type(owner).__name__}")


def _described(found: Any, file: Path) -> dict[str, Any]:
    """The checkpoint's dict, made sure that it holds a network."""
    if not isinstance(found, dict):
        raise CheckpointError(f"{file}: holds a {type(found).__name__}, not a checkpoint; `yolo train` writes best.pt")
    network = found.get("ema") or found.get("model")
    if network is None and found and all(isinstance(value, torch.Tensor) for value in found.values()):
        raise CheckpointError(f"{file}: a state_dict, weights without their network; save with YOLO(...).save(FILE)")
    if not isinstance(network, nn.Module) or not hasattr(network, "yaml"):
        keys = ", ".join(map(str, list(found)[:5])) or "nothing"
        raise CheckpointError(
            f"{file}: holds {keys}, but no Ultralytics model; `yolo train` writes best.pt and last.pt"
        )
    return found
