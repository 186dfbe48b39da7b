"""What a run prints: one line an epoch, on a terminal the running step too."""

import sys
from typing import Any

import lightning as L

from segplug.training.module import CrackModule


class EpochLines(L.Callback):
    """One line an epoch; on a terminal the running step too. Rank 0 speaks for all."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if sys.stderr.isatty() and trainer.is_global_zero:
            step = (
                f"epoch {trainer.current_epoch + 1}/{self.epochs}  step {batch_idx + 1}/{trainer.num_training_batches}"
            )
            print(f"\r{step}  loss {outputs['loss'].item():.4f} ", end="", file=sys.stderr, flush=True)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, CrackModule)
        if not trainer.is_global_zero:
            return
        row = pl_module.row
        left = (self.epochs - row["epoch"]) * row["seconds"]
        scores = "".join(
            f"  {k} {row[k]:.4f}" for k in ("train_loss", "val_loss", "val_iou_crack", "val_f1") if k in row
        )
        start = "\r" if sys.stderr.isatty() else ""
        ahead = f"about {left / 60:.1f} min left"
        if trainer.should_stop and row["epoch"] < self.epochs:
            ahead = "stopped: validation no longer improves"
        line = f"epoch {row['epoch']:.0f}/{self.epochs}{scores}  {row['seconds']:.1f} s  {ahead}"
        print(start + line, file=sys.stderr, flush=True)
