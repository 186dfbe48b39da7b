"""TrainConfig: everything that decides a training run, as one frozen value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from segplug.errors import SegplugError

__all__ = ["Precision", "TrainConfig"]

Precision = Literal["auto", "32", "bf16", "16"]
FREE_ON_RESUME = {"data", "out", "resume", "device", "workers", "precision"}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training run. Raises SegplugError on a value outside its range."""

    data: str
    """Folder with images/ and masks/, or with the splits train, val, test of either layout."""
    model: str = "gbcnet"
    """"gbcnet" or an smp architecture, see `segplug models`."""
    encoder: str = "tu-mobilenetv3_large_100"
    """smp encoder name, or "tu-" + timm name."""
    encoder_weights: str | None = None
    """None trains from scratch, "imagenet" downloads pretrained weights."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the architecture, for example {"gate": "sigmoid"}."""
    epochs: int = 50
    """Passes over the training images."""
    batch: int = 8
    """Crops a step."""
    crop: int = 256
    """Side of the square training crop in pixels; a multiple of 32. Validation sees whole images."""
    lr: float = 1e-3
    """Peak learning rate of AdamW; cosine decay to 1 % of it."""
    weight_decay: float = 1e-2
    """AdamW decay of weights; biases and norms are spared."""
    warmup_epochs: float = 1.0
    """Epochs of linear rise to `lr`."""
    seed: int = 0
    """Decides initial weights, order, crops and the validation split."""
    val_split: float = 0.1
    """Share of the training images held out for choosing `best`, unless the data has a val split. 0: none."""
    source_rule: str | None = None
    r"""Regular expression whose first group names the source photo; crops of one photo stay on one side of the
    validation split. DeepCrack: (.+?)(?:-\d+)?$"""
    out: str = "runs/segplug/gbcnet"
    """Folder for checkpoints, metrics.csv and config.json."""
    workers: int = 0
    """Loader processes; 0 loads in the training process."""
    device: str = "auto"
    """"auto", "cpu", "cuda", "cuda:1", "mps"."""
    precision: Precision = "auto"
    """"auto" is bf16 on a GPU that has it and 32 elsewhere."""
    resume: bool = False
    """Continue `out`/last.ckpt; starts anew when there is none."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise SegplugError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("weight_decay", "warmup_epochs", "seed", "workers"):
            if getattr(self, name) < 0:
                raise SegplugError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.crop < 32 or self.crop % 32:
            raise SegplugError(f"crop must be a multiple of 32, got {self.crop}")
        if not self.lr > 0:
            raise SegplugError(f"lr must be positive, got {self.lr}")
        if not 0 <= self.val_split < 1:
            raise SegplugError(f"val_split must be at least 0 and below 1, got {self.val_split}")
        try:
            json.dumps(dict(self.options))
        except TypeError as error:
            raise SegplugError(
                f"options must be numbers, text or lists of them, got {self.options} ({error})"
            ) from error
        if self.precision not in get_args(Precision):
            raise SegplugError(f"precision must be one of {', '.join(get_args(Precision))}, got {self.precision!r}")

    def plain(self) -> dict[str, Any]:
        """The settings as JSON-able values."""
        return json.loads(json.dumps({**asdict(self), "data": str(self.data), "out": str(self.out)}))

    def check_resume(self, saved: Mapping[str, Any], where: Path) -> None:
        """Raise SegplugError when a setting that shapes the result differs from the run being resumed."""
        mine = self.plain()
        changed = [
            f"{f.name} {saved.get(f.name)!r} -> {mine[f.name]!r}"
            for f in fields(self)
            if f.name not in FREE_ON_RESUME and saved.get(f.name) != mine[f.name]
        ]
        if changed:
            raise SegplugError(
                f"{where} was started with other settings ({'; '.join(changed)}); use its own or a new out"
            )
