"""Checkpoints that are either whole or absent, and load without running anyone's code."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO
from torch import Tensor, nn

from segplug.errors import SegplugError
from segplug.models.create import create_model
from segplug.models.encoders.depth import without_cut_stages
from segplug.models.preprocessing import IMAGENET, Preprocessing
from segplug.weights import model_file
from yoloplug.files import write

__all__ = [
    "AVERAGE",
    "FORMAT",
    "MODEL",
    "AtomicCheckpointIO",
    "load_model",
    "read_checkpoint",
]

FORMAT = 1
MODEL = "model."
AVERAGE = "average.module."


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


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The trained network in eval mode on the CPU, built offline, and what was saved beside it (model, train, row).

    path: a checkpoint, or the name of a model that comes with the package.

    Of a run with a moving average of weights (`ema`) it is the average.
    """
    path = model_file(path)
    contents = read_checkpoint(path)
    about = contents["segplug"]
    model = create_model(**about["model"], encoder_weights=None)
    state = contents["state_dict"]
    prefix = AVERAGE if any(key.startswith(AVERAGE) for key in state) else MODEL
    weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    weights = without_cut_stages(model, weights)
    _refuse_other_weights(path, about["model"]["name"], model.state_dict(), weights)
    model.load_state_dict(weights)
    saved = about.get("preprocessing")  # files from before it was kept were all trained with ImageNet's
    model.preprocessing = IMAGENET if saved is None else Preprocessing.of(saved)  # type: ignore[assignment]
    return model.eval(), about


def _refuse_other_weights(path: Path, name: str, wanted: dict[str, Tensor], given: dict[str, Tensor]) -> None:
    missing, unknown = (sorted(a.keys() - b.keys()) for a, b in ((wanted, given), (given, wanted)))
    reshaped = sorted(key for key in wanted.keys() & given.keys() if wanted[key].shape != given[key].shape)
    counted = (("missing", missing), ("unknown", unknown), ("of another shape", reshaped))
    if wrong := [f"{len(keys)} {what}, such as {keys[0]}" for what, keys in counted if keys]:
        raise SegplugError(
            f"{path}: weights of another version of {name} ({'; '.join(wrong)}); train again, or use the segplug that "
            "wrote the file"
        )


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's reader and writer, replaced by the two functions above."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write(Path(path), lambda part: torch.save(checkpoint, part))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
