"""CrackModule: one network, its loss, schedule and validation metrics, as a LightningModule."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from segplug.checkpoint import FORMAT
from segplug.config import TrainConfig
from segplug.deep_supervision import supervised_loss
from segplug.errors import SegplugError
from segplug.inference import image_logits, normalise
from segplug.losses import LossSum
from segplug.metrics import MetricSum

__all__ = ["CrackModule", "cosine_with_warmup"]

FINAL_LR = 0.01


class CrackModule(L.LightningModule):
    """Batches are (N, 3, H, W) uint8 images and (N, 1, H, W) masks of 0 and 1. `row` holds the epoch's figures."""

    def __init__(self, model: nn.Module, config: TrainConfig, steps_per_epoch: int) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.loss = LossSum(config.loss)
        self.row: dict[str, float] = {}
        self._train_losses: list[Tensor] = []
        self._val_losses: list[Tensor] = []
        self._val_metrics = MetricSum()

    def on_train_epoch_start(self) -> None:
        # Seeded anew each epoch: a resumed run draws the same dropout as an unbroken one.
        torch.manual_seed(1_000_003 * self.config.seed + self.current_epoch)
        self._train_losses.clear()
        self.row = {"epoch": self.current_epoch + 1, "lr": self.optimizers().param_groups[0]["lr"]}  # type: ignore[union-attr]

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, masks = batch
        loss = supervised_loss(self.loss, self.model(normalise(images)), masks)
        if not torch.isfinite(loss):
            raise SegplugError(
                f"loss became {loss.item()} in epoch {self.current_epoch + 1}, step {index + 1}; last.ckpt still "
                f"holds the epoch before. Lower lr (now {self.config.lr:g}) or raise warmup_epochs"
            )
        self._train_losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        self._val_losses.clear()
        self._val_metrics = MetricSum()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        images, masks = batch
        logits = image_logits(self.model, images)
        self._val_losses.append(self.loss(logits, masks))
        for probability, mask in zip(torch.sigmoid(logits.float()).cpu(), masks.cpu(), strict=True):
            self._val_metrics.add(probability[0].numpy(), mask[0].numpy())

    def on_validation_epoch_end(self) -> None:
        scores = self._val_metrics.scores()
        self.row["val_loss"] = torch.stack(self._val_losses).mean().item()
        self.row.update({f"val_{name}": scores[name] for name in ("iou_crack", "miou", "f1", "ods_f1")})

    def finish_row(self, seconds: float) -> None:
        """Add the mean training loss and the epoch's wall time."""
        self.row["train_loss"] = torch.stack(self._train_losses).mean().item()
        self.row["seconds"] = seconds

    def configure_optimizers(self) -> Any:
        decayed = [p for p in self.model.parameters() if p.requires_grad and p.ndim > 1]
        spared = [p for p in self.model.parameters() if p.requires_grad and p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": self.config.weight_decay}, {"params": spared, "weight_decay": 0.0}],
            lr=self.config.lr,
        )
        warmup = round(self.config.warmup_epochs * self.steps_per_epoch)
        total = self.config.epochs * self.steps_per_epoch
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_with_warmup(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        train = self.config.plain()
        model = {"name": train["model"], "encoder": train["encoder"], "in_channels": 3, "classes": 1}
        checkpoint["segplug"] = {
            "format": FORMAT,
            "model": {**model, **train["options"]},
            "train": train,
            "row": dict(self.row),
        }


def cosine_with_warmup(step: int, warmup: int, total: int) -> float:
    """Factor on the learning rate: linear to 1 over `warmup` steps, then half a cosine down to FINAL_LR."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return FINAL_LR + (1 - FINAL_LR) * (1 + math.cos(math.pi * progress)) / 2
