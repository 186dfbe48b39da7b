"""What happens at the end of an epoch: save `last` and `best`, write metrics.csv, print one line."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L

from segplug.checkpoint import write_atomic
from segplug.lit import CrackModule

__all__ = ["EpochRecord", "Progress"]

COLUMNS = (
    "epoch",
    "lr",
    "train_loss",
    "val_loss",
    "val_iou_crack",
    "val_miou",
    "val_f1",
    "val_ods_f1",
    "seconds",
)


class EpochRecord(L.Callback):
    """Keeps the table of epochs in the checkpoint itself, so that a resumed run continues the same table.

    `lr` is the rate at the epoch's start. `best` is the highest validation crack IoU, the lower loss on a tie; without
    validation it is the last epoch.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []
        self.best: list[float] = []
        self._started = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self.best = list(state_dict["best"])

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, CrackModule)
        pl_module.finish_row(time.monotonic() - self._started)
        row = dict(pl_module.row)
        self.rows.append(row)
        score = [row["val_iou_crack"], -row["val_loss"]] if "val_loss" in row else [row["epoch"], 0.0]
        if not self.best or score > self.best:
            self.best = score
            trainer.save_checkpoint(self.folder / "best.ckpt", weights_only=True)
        write_atomic(self.folder / "metrics.csv", self._write_rows)
        trainer.save_checkpoint(self.folder / "last.ckpt")  # last of all: a kill before it repeats the epoch

    def _write_rows(self, path: Path) -> None:
        with path.open("w", newline="") as handle:
            table = csv.DictWriter(handle, [c for c in COLUMNS if c in self.rows[0]])
            table.writeheader()
            table.writerows(self.rows)


class Progress(L.Callback):
    """One line an epoch; on a terminal the running step too."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if sys.stderr.isatty():
            step = (
                f"epoch {trainer.current_epoch + 1}/{self.epochs}  step {batch_idx + 1}/{trainer.num_training_batches}"
            )
            print(f"\r{step}  loss {outputs['loss'].item():.4f} ", end="", file=sys.stderr, flush=True)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, CrackModule)
        row = pl_module.row
        left = (self.epochs - row["epoch"]) * row["seconds"]
        scores = "".join(
            f"  {k} {row[k]:.4f}" for k in ("train_loss", "val_loss", "val_iou_crack", "val_f1") if k in row
        )
        start = "\r" if sys.stderr.isatty() else ""
        line = f"epoch {row['epoch']:.0f}/{self.epochs}{scores}  {row['seconds']:.1f} s  about {left / 60:.1f} min left"
        print(start + line, file=sys.stderr, flush=True)
