"""What a segmentation cell adds to segplug's training: the runner's ledger, and Lightning's own loggers."""

import os
from typing import Any

import lightning as L

from experiments.cells.cell import Cell
from experiments.cells.ledger import Epochs
from segplug.training.callbacks.epoch_record import EpochRecord
from segplug.training.module import CrackModule


class ToLedger(L.Callback):
    """Every epoch into the cell's ledger, after segplug has saved it."""

    def __init__(self, epochs: Epochs) -> None:
        self.epochs = epochs

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.epochs.start(resumed=trainer.current_epoch > 0)
        for row in [row for one in trainer.callbacks if isinstance(one, EpochRecord) for row in one.rows]:  # type: ignore[attr-defined]
            self.epochs.saved(int(row["epoch"]), row["seconds"], row["train_loss"], _monitor(row))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, CrackModule)
        row = pl_module.row
        self.epochs.done(int(row["epoch"]), row["train_loss"], _monitor(row))


def _monitor(row: dict[str, float]) -> str:
    return f"val crack IoU {row['val_iou_crack']:.3f}" if "val_iou_crack" in row else ""


class AddLoggers(L.Callback):
    """Gives the training the spec's loggers. TensorBoard's events go to train/tensorboard of the cell."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        trainer.loggers = [*trainer.loggers, *(self._logger(name) for name in self.cell.spec.loggers)]

    def _logger(self, name: str) -> Any:
        from lightning.pytorch import loggers

        folder = self.cell.folder / "train"
        if name == "tensorboard":
            return loggers.TensorBoardLogger(folder, name="", version="tensorboard")
        if name == "mlflow":
            uri = os.environ.get("MLFLOW_TRACKING_URI")
            return loggers.MLFlowLogger(self.cell.spec.name, self.cell.key, tracking_uri=uri)
        return loggers.WandbLogger(self.cell.key, folder, project=self.cell.spec.name)
