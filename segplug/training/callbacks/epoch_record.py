"""The table of epochs: it saves `last` and `best`, writes metrics.csv and stops early."""

import time
from pathlib import Path
from typing import Any

import lightning as L

from segplug.training.module import CrackModule
from yoloplug.files import write_csv

COLUMNS = ("epoch", "lr", "train_loss", "val_loss", "val_iou_crack", "val_miou", "val_f1", "val_ods_f1", "seconds")
EPOCHS = "epochs"
Epoch = dict[str, float]


class EpochRecord(L.Callback):
    """Keeps the table of epochs in the checkpoint itself, so that a resumed run continues the same table.

    `lr` is the rate at the epoch's start. `best` is the highest validation crack IoU, the lower loss on a tie; without
    validation it is the last epoch. Training stops when `patience` epochs in a row brought no better one. keep: every
    epoch's weights stay, as epochs/001.ckpt and on.
    """

    def __init__(self, folder: Path, patience: int | None = None, keep: bool = False) -> None:
        self.folder = folder
        self.patience = patience
        self.keep = keep
        self.rows: list[Epoch] = []
        self._started = 0.0
        self.begun = False

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begun = True  # whatever was resumed is restored
        trainer.should_stop = self._stalled()  # a resumed run may have stopped before

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, CrackModule)
        pl_module.finish_row(time.monotonic() - self._started)
        self.rows.append(dict(pl_module.row))
        # Every rank calls save_checkpoint, which waits for all and lets rank 0 write.
        if best_row(self.rows) is self.rows[-1]:
            trainer.save_checkpoint(self.folder / "best.ckpt", weights_only=True)
        if self.keep:
            trainer.save_checkpoint(self.folder / EPOCHS / f"{len(self.rows):03}.ckpt", weights_only=True)
        if trainer.is_global_zero:
            write_csv(self.folder / "metrics.csv", [c for c in COLUMNS if c in self.rows[0]], self.rows)
        for logger in trainer.loggers:
            logger.log_metrics({k: v for k, v in self.rows[-1].items() if k != "epoch"}, step=len(self.rows))
        trainer.save_checkpoint(self.folder / "last.ckpt")  # last of all: a kill before it repeats the epoch
        if self._stalled():
            trainer.should_stop = True

    def _stalled(self) -> bool:
        return (
            self.patience is not None
            and len(self.rows) > 0
            and self.rows[-1]["epoch"] - best_row(self.rows)["epoch"] >= self.patience
        )


def best_row(rows: list[Epoch]) -> Epoch:
    """The epoch that best.ckpt holds; of equals the first."""
    if "val_loss" not in rows[-1]:
        return rows[-1]
    return max(rows, key=lambda row: (row["val_iou_crack"], -row["val_loss"]))
