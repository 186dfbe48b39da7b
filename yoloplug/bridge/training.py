"""Ultralytics' training for whoever drives it: its arguments, its loggers, and copies of its checkpoints."""

from __future__ import annotations

import logging
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from yoloplug import files
from yoloplug.errors import YoloplugError


class NonFiniteLoss(YoloplugError):
    """Ultralytics gave up: loss or fitness was NaN or infinite, and its own recoveries did not help. epoch: from 1."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the loss was NaN or infinite up to epoch {epoch}; lower lr0 or raise warmup_epochs")
        self.epoch = epoch


def argument_names() -> frozenset[str]:
    """Of `yolo train`."""
    from ultralytics.utils import DEFAULT_CFG_DICT

    return frozenset(DEFAULT_CFG_DICT)


def image_suffixes() -> frozenset[str]:
    """Of the image files that it reads: `.jpg` …"""
    from ultralytics.data.utils import IMG_FORMATS

    return frozenset(f".{name}" for name in IMG_FORMATS)


def argument_fault(name: str, value: object) -> str | None:
    """Why Ultralytics would refuse the value of a training argument; None where it takes it."""
    from ultralytics.cfg import check_cfg

    try:
        check_cfg({name: value})
    except (TypeError, ValueError) as error:
        return str(error).splitlines()[0]
    return None


def optimizers() -> list[str]:
    """Names for `optimizer=`. Ultralytics lists them only where it refuses one, so it is made to refuse."""
    from ultralytics.engine.trainer import BaseTrainer

    build: Any = BaseTrainer.build_optimizer
    try:
        build(None, torch.nn.Identity(), "?")
    except NotImplementedError as error:
        listed = re.search(r"available optimizers\s+[\[{](.*?)[\]}]", str(error))
        if listed:
            return sorted(re.findall(r"\w+", listed[1]))
    raise RuntimeError("Ultralytics no longer lists its optimizers")


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings only of Ultralytics' output."""
    from ultralytics.utils import LOGGER

    level = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(level)


@contextmanager
def logging_to(names: tuple[str, ...]) -> Iterator[None]:
    """Trainings in here log to these of Ultralytics' loggers only, whatever the user's settings, which stay."""
    from ultralytics.utils import SETTINGS

    loggers = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
    before = {name: SETTINGS[name] for name in loggers if name in SETTINGS}
    for name in before:
        dict.__setitem__(SETTINGS, name, name in names)  # past its own __setitem__, which writes the file
    try:
        yield
    finally:
        for name, value in before.items():
            dict.__setitem__(SETTINGS, name, value)


def loss_of(trainer: Any) -> float:
    """Sum of the loss items of the epoch that ends."""
    parts = trainer.tloss.values() if isinstance(trainer.tloss, dict) else trainer.tloss  # dict from 8.4 on
    return sum(float(part) for part in parts)


def name_non_finite_loss(trainer: Any) -> None:
    """A callback for `on_train_start`: training that breaks down to NaN ends in NonFiniteLoss.

    Ultralytics' own end is a RuntimeError like any other. Releases without its recovery train on to the last epoch.
    """
    recover = getattr(trainer, "_handle_nan_recovery", None)
    if recover is None:
        return

    def recover_or_name(epoch: int) -> bool:
        try:
            return bool(recover(epoch))
        except RuntimeError as error:
            raise NonFiniteLoss(epoch + 1) from error

    trainer._handle_nan_recovery = recover_or_name


def train_in_bf16(trainer: Any) -> None:
    """A callback for `on_train_start`: layers in bfloat16 autocast on any device (stock AMP is for CUDA alone).

    What the last layer gives is float32 again: box overlaps in the loss need more than eight bits. Weights, their
    average and validation stay as they are.
    """
    layers = getattr(trainer.model, "module", trainer.model).model
    autocast = torch.autocast(trainer.device.type, torch.bfloat16)

    def enter(*_: Any) -> None:
        autocast.__enter__()

    def leave(*_: Any) -> None:
        autocast.__exit__(None, None, None)

    for layer in layers:
        layer.register_forward_pre_hook(enter)
        layer.register_forward_hook(leave, always_call=True)
    layers[-1].register_forward_hook(lambda layer, given, result: _as_float(result))


def _as_float(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: _as_float(part) for name, part in value.items()}
    return type(value)(map(_as_float, value)) if isinstance(value, (list, tuple)) else value


class SavedWeights:
    """weights/last.pt and best.pt of a run, and whole copies of them in another folder (or beside them).

    Ultralytics writes both in place after every epoch, so that a kill or a full disk can cost them; `keep` as its
    `on_model_save` callback copies what has been written, `mend` puts a copy back where the file is cut.
    """

    def __init__(self, last: Path, copies: Path | None = None) -> None:
        self.last, self.best = last, last.with_name("best.pt")
        folder = copies or last.parent
        self.copies = {path: folder / f"{path.stem}_saved.pt" for path in (self.last, self.best)}

    def keep(self, trainer: Any) -> None:
        """Copy last.pt, and best.pt where this epoch is the best. A callback of Ultralytics."""
        for path, changed in ((self.last, True), (self.best, trainer.best_fitness == trainer.fitness)):
            if changed and path.exists():
                files.write(self.copies[path], lambda part, path=path: shutil.copyfile(path, part))  # type: ignore[misc]

    def mend(self) -> None:
        """Put whole files in the place of cut ones; best.pt is written after last.pt."""
        if not is_whole(self.last) and is_whole(self.copies[self.last]):
            shutil.copyfile(self.copies[self.last], self.last)
        if self.best.exists() and not is_whole(self.best):
            if is_whole(self.last) and self.epoch >= 0:
                shutil.copyfile(self.last, self.best)  # the last epoch was being saved as the best
            elif is_whole(self.copies[self.best]):
                shutil.copyfile(self.copies[self.best], self.best)  # the optimiser was being taken out
            else:
                self.best.unlink()  # Ultralytics would stumble over it

    @property
    def exist(self) -> bool:
        return is_whole(self.last)

    @property
    def epoch(self) -> int:
        """Of last.pt, from 0; -1 once Ultralytics has taken the optimiser out, at the end of training."""
        return _epoch(self.last)

    def finish(self) -> None:
        """What Ultralytics does after the last epoch: take the optimiser out. Files that lack it already stay."""
        from ultralytics.utils.torch_utils import strip_optimizer

        for path in (self.last, self.best):
            if is_whole(path) and _epoch(path) >= 0:
                strip_optimizer(path)
        self.forget()

    def forget(self) -> None:
        """Delete the copies."""
        for path in self.copies.values():
            path.unlink(missing_ok=True)

    def settle(self, data: Path) -> None:
        """Ultralytics goes on in the folder that last.pt names; where the run was moved or copied, name this one."""
        run = self.last.parents[1]
        checkpoint = torch.load(self.last, map_location="cpu", weights_only=False)
        named = checkpoint["train_args"]
        here = {"project": str(run.parent), "save_dir": str(run), "data": str(data)}
        if Path(named["save_dir"]).resolve() != run.resolve() or Path(named["data"]).resolve() != data.resolve():
            files.write(self.last, lambda part: torch.save(checkpoint | {"train_args": named | here}, part))


def is_whole(checkpoint: Path) -> bool:
    """A checkpoint is a zip file, whose table of contents is written last."""
    return zipfile.is_zipfile(checkpoint)


def _epoch(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, map_location="cpu", weights_only=False)["epoch"])
