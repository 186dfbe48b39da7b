"""Checkpoints that are either whole or absent, and load without running anyone's code."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO
from segmentation_models_pytorch.base import SegmentationModel

from segplug.errors import SegplugError
from segplug.models import create_model

__all__ = ["FORMAT", "AtomicCheckpointIO", "json_writer", "load_model", "read_checkpoint", "write_atomic"]

FORMAT = 1
PREFIX = "model."


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then put it in place in one step.

    A kill or a full disk leaves the old file. Raises SegplugError when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        with part.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        with suppress(OSError):
            part.unlink(missing_ok=True)
        kept = f"the earlier {path.name} is kept; " if path.exists() else ""
        raise SegplugError(f"cannot write {path} ({error}); {kept}free disk space or choose another folder") from error


def json_writer(value: Any) -> Callable[[Path], None]:
    """For `write_atomic`: `value` as indented JSON."""

    def write(path: Path) -> None:
        path.write_text(json.dumps(value, indent=2) + "\n")

    return write


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The plain contents (tensors, numbers, text) of a segplug checkpoint. Raises SegplugError on any other file."""
    if not path.is_file():
        raise SegplugError(f"{path}: no such checkpoint")
    if not zipfile.is_zipfile(path):  # torch reads anything else as an old pickle, with errors of any kind
        raise SegplugError(f"{path}: not a readable checkpoint (no torch archive); train again or use another")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        reason = str(error).strip().split("\n")[0]
        raise SegplugError(f"{path}: not a readable checkpoint ({reason}); train again or use another") from error
    if not isinstance(contents, dict) or "segplug" not in contents:
        raise SegplugError(f"{path}: not a segplug checkpoint; use last.ckpt or best.ckpt of a segplug run")
    if contents["segplug"]["format"] != FORMAT:
        raise SegplugError(f"{path}: checkpoint format {contents['segplug']['format']}, this segplug reads {FORMAT}")
    return contents


def load_model(path: Path) -> tuple[SegmentationModel, dict[str, Any]]:
    """The trained network in eval mode on the CPU, built offline, and what was saved beside it (model, train, row)."""
    contents = read_checkpoint(path)
    about = contents["segplug"]
    model = create_model(**about["model"], encoder_weights=None)
    weights = {k.removeprefix(PREFIX): v for k, v in contents["state_dict"].items() if k.startswith(PREFIX)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise SegplugError(f"{path}: weights do not fit {about['model']['name']}: {error}") from error
    return model.eval(), about


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's reader and writer, replaced by the two functions above."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_atomic(Path(path), lambda part: torch.save(checkpoint, part))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
