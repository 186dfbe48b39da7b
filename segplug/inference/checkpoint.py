"""Checkpoints that are either whole or absent, and load without running anyone's code."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO
from torch import Tensor, nn

from segplug.errors import SegplugError, first_line
from segplug.inference.stored import TORCH_REFUSES, check_archive, require
from segplug.models.create import create_model
from segplug.models.encoders.depth import without_cut_stages
from segplug.models.preprocessing import IMAGENET, Preprocessing, preprocessing_of
from segplug.weights import model_file
from yoloplug.files import write

FORMAT = 1
MODEL = "model."
EMA = "ema.module."
_EMA_ONCE = "average."  # its name in files of earlier versions


_CONTENTS: dict[str, type | tuple[type, ...]] = {
    "segplug.format": int,
    "segplug.model.name": str,
    "segplug.model.encoder": (str, NoneType),
    "segplug.train.data": str,
    "segplug.train.seed": int,
    "segplug.train.val_split": (int, float),
    "segplug.train.source_rule": (str, NoneType),
    "segplug.row.epoch": (int, float),
    "state_dict": dict,
}
_TRAINING: dict[str, type | tuple[type, ...]] = {
    "callbacks.EpochRecord.rows": list,
    "epoch": int,
    "global_step": int,
    "loops": dict,
    "lr_schedulers": list,
    "optimizer_states": list,
    "pytorch-lightning_version": str,
}


def read_checkpoint(path: Path, to_resume: bool = False) -> dict[str, Any]:
    """The plain contents (tensors, numbers, text) of a segplug checkpoint. Raises SegplugError on any other file.

    to_resume: it must hold the state of training too, as last.ckpt does.
    """
    if not path.is_file():
        raise SegplugError(f"{path}: no such checkpoint")
    check_archive(path)
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except TORCH_REFUSES as error:
        named = re.search(r"GLOBAL (\w[\w.]*)", str(error))
        reason = f"it names {named[1]}, which may run any code" if named else first_line(error)
        raise SegplugError(f"{path}: not a readable checkpoint ({reason}); train again or use another") from error
    if not isinstance(contents, dict) or "segplug" not in contents:
        raise SegplugError(f"{path}: not a segplug checkpoint; use last.ckpt or best.ckpt of a segplug run")
    require(path, contents, _CONTENTS)
    if contents["segplug"]["format"] != FORMAT:
        raise SegplugError(f"{path}: checkpoint format {contents['segplug']['format']}, this segplug reads {FORMAT}")
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in contents["state_dict"].items()):
        raise SegplugError(f"{path}: not a whole model file: state_dict holds more than named tensors; use another")
    expected = contents["segplug"].get("sha256")
    if expected is not None and expected != weights_digest(contents["state_dict"]):
        raise SegplugError(f"{path}: damaged: the weights differ from their checksum; copy it again, or use another")
    contents["state_dict"] = {
        f"ema.{name.removeprefix(_EMA_ONCE)}" if name.startswith(_EMA_ONCE) else name: tensor
        for name, tensor in contents["state_dict"].items()
    }
    if to_resume:
        if "optimizer_states" not in contents:
            raise SegplugError(f"{path}: holds weights but no state of training", "start from them with --init")
        require(path, contents, _TRAINING)
    return contents


def weights_digest(state: dict[str, Tensor]) -> str:
    """SHA-256 of all tensors with their names, kinds and shapes. Files from before it was kept have none."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The trained network in eval mode on the CPU, built offline, and what was saved beside it (model, train, row).

    path: a checkpoint, or the name of a model that comes with the package.

    Of a run with `ema` it is the EMA of the weights.
    """
    path = model_file(path)
    contents = read_checkpoint(path)
    about = contents["segplug"]
    model = _build(path, about["model"])
    state = contents["state_dict"]
    prefix = EMA if any(key.startswith(EMA) for key in state) else MODEL
    weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    weights = without_cut_stages(model, weights)
    _refuse_other_weights(path, about["model"]["name"], model.state_dict(), weights)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:  # tensors that are no weights: sparse, quantised
        raise SegplugError(f"{path}: its weights cannot be loaded ({first_line(error)}); use another") from error
    saved = about.get("preprocessing")  # files from before it was kept were all trained with ImageNet's
    try:
        model.preprocessing = IMAGENET if saved is None else Preprocessing.of(saved)  # type: ignore[assignment]
    except (LookupError, TypeError, ValueError) as error:
        raise SegplugError(f"{path}: its preprocessing is damaged ({saved!r}); use another") from error
    return model.eval(), about


def load_mean(paths: Sequence[Path]) -> tuple[nn.Module, dict[str, Any]]:
    """The mean of several networks' weights, a path given twice counting twice, and what was saved beside the first.

    Of runs that went on from the same weights the mean is often better than each on photos unlike those of training
    (Wortsman et al. 2022, arXiv:2203.05482, and arXiv:2109.01903); of runs from other starts it is noise. Stored
    statistics of norms are averaged too. Raises SegplugError on networks that differ in settings or preprocessing.
    """
    networks, abouts = zip(*map(load_model, paths), strict=True)
    first, trained = networks[0], abouts[0]
    if len(paths) == 1:
        return first, trained
    for path, network, about in zip(paths[1:], networks[1:], abouts[1:], strict=True):
        if about["model"] != trained["model"] or preprocessing_of(network) != preprocessing_of(first):
            raise SegplugError(
                f"{path}: a mean is of one network's weights; {paths[0]} has other model settings or preprocessing",
                "average checkpoints of runs that went on from the same one (train --init)",
            )
    states = [network.state_dict() for network in networks]
    first.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
            for name, tensor in states[0].items()
        }
    )
    rows = zip(paths, abouts, strict=True)
    averaged = [{"checkpoint": str(p), "epoch": a["row"]["epoch"], "data": a["train"]["data"]} for p, a in rows]
    return first, {**trained, "mean_of": averaged}


def _build(path: Path, settings: dict[Any, Any]) -> nn.Module:
    """The network of `settings`, without weights."""
    numbers = [settings.get(name) for name in ("in_channels", "classes")]
    if not all(isinstance(number, int) for number in numbers) or numbers != [3, 1] or "encoder_weights" in settings:
        raise SegplugError(f"{path}: no network for cracks in RGB photos (in_channels, classes); use another")
    if not all(isinstance(name, str) for name in settings):
        raise SegplugError(f"{path}: its model settings are damaged; use another")
    try:
        return create_model(**settings, encoder_weights=None)
    except SegplugError as error:
        raise SegplugError(f"{path}: {error}") from error


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
