"""What would stop a run in the middle of its first epoch, tried or counted before it begins."""

import shutil
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from segplug.errors import SegplugError, one_line
from segplug.training.config import TrainConfig

SHARED = Path("/dev/shm")
AHEAD = 2
"""Batches that torch's DataLoader has each worker load ahead."""
_REFUSED = (RuntimeError, ValueError, AssertionError, TypeError, LookupError)


def check_sizes(model: nn.Module, config: TrainConfig, images: int) -> None:
    """Raise SegplugError unless the network takes the run's crops in training, and images of another size in eval."""
    if images == 0:
        return  # the loaders say how many there are
    name = f"{config.model} on {config.encoder}" if config.encoder else config.model
    crops = min(2, config.batch, images)
    error = _refusal(model.train(), crops, config.crop, config.crop)
    if error and crops == 1 and _refusal(model, 2, config.crop, config.crop) is None:
        raise SegplugError(
            f"{name} cannot train on a single crop of {config.crop} px: batch norm sees one value a channel there",
            f"set batch to 2 or more (of as many training images; there are {images}), or a larger crop",
            ("batch",),
        )
    if error:
        remedy = "choose the size its encoder is made for, or another encoder"
        raise SegplugError(f"{name} does not take crops of {config.crop} px ({error})", remedy, ("crop",))
    if error := _refusal(model.eval(), 1, config.crop + 32, config.crop):
        raise SegplugError(
            f"{name} takes images of {config.crop} x {config.crop} px only ({error}), but validation sees whole photos",
            "choose another encoder",
            ("encoder",),
        )


def check_shared_memory(config: TrainConfig) -> None:
    """Raise SegplugError where /dev/shm cannot hold the crops that loader processes hand over through it."""
    if config.workers == 0 or not SHARED.is_dir():
        return
    batches = (AHEAD * config.workers + 1) * config.devices
    needed = batches * config.batch * config.crop**2 * 4  # three colours and a label
    free = shutil.disk_usage(SHARED).free
    if needed > free:
        raise SegplugError(
            f"{SHARED} has {free / 1e6:.0f} MB free, but {config.workers} workers fill {needed / 1e6:.0f} MB",
            "set workers to 0, or give the container more (docker run --shm-size 2g)",
            ("workers",),
        )


def _refusal(model: nn.Module, images: int, height: int, width: int) -> str | None:
    """Why the network takes no such batch. It runs on a copy and draws no random numbers."""
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            deepcopy(model)(torch.zeros(images, 3, height, width))
    except _REFUSED as error:
        return one_line(error)[:160] or type(error).__name__
    return None
