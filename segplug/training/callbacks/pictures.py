"""Pictures of a run: results.png with its curves, samples/ with validation images as training goes on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor

from segplug.data.images.writing import write_picture
from segplug.data.labels import NO_LABEL
from segplug.data.mixed import MixedDataset
from segplug.draw import draw_comparison
from segplug.metrics import count, iou_crack
from segplug.page.palette import SERIES
from segplug.training.callbacks.epoch_record import EpochRecord, best_row
from segplug.training.ranks import rank, world
from yoloplug.files import write

SAMPLES = 4


class Curves(L.Callback):
    """Draws results.png from the record's table when training ends."""

    def __init__(self, record: EpochRecord) -> None:
        self.record = record

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero and self.record.rows:
            draw_curves(self.record.rows, self.record.folder / "results.png")


class ValidationPictures(L.Callback):
    """Every `every` epochs folder/NAME_epoch005.png: photo, label and hits, false alarms, misses of the same images."""

    def __init__(self, folder: Path, dataset: MixedDataset, every: int) -> None:
        self.folder = folder
        self.dataset = dataset
        self.every = every
        last = len(dataset) - 1
        self.chosen = {round(k * last / max(1, SAMPLES - 1)) for k in range(SAMPLES)}

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Tensor | Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        epoch, index = trainer.current_epoch + 1, batch_idx * world() + rank()
        if outputs is None or epoch % self.every or index not in self.chosen:
            return
        image, mask = self.dataset.arrays(index)
        target, prediction, valid = mask == 1, outputs.numpy() >= 0.5, mask != NO_LABEL
        picture = draw_comparison(image, target, prediction, valid, iou_crack(count(prediction[valid], target[valid])))
        write_picture(self.folder / f"{self.dataset.samples[index].name}_epoch{epoch:03}.png", picture)


def draw_curves(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Losses, validation scores and learning rate over epochs, the best epoch marked."""
    from cycler import cycler
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    axes = figure.subplots(1, 3, subplot_kw={"prop_cycle": cycler(color=SERIES)})
    epochs = [row["epoch"] for row in rows]
    panels = (
        ("loss", {"train_loss": "training", "val_loss": "validation"}),
        (
            "validation score",
            {"val_iou_crack": "iou_crack", "val_f1": "f1", "val_ods_f1": "ods_f1", "val_miou": "miou"},
        ),
        ("learning rate at the epoch's start", {"lr": "lr"}),
    )
    for axis, (title, lines) in zip(axes, panels, strict=True):
        for key, label in lines.items():
            if key in rows[0]:
                axis.plot(epochs, [row[key] for row in rows], label=label, marker="." if len(rows) < 30 else None)
        axis.set_title(title)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        if "val_loss" in rows[0] and title != panels[2][0]:
            axis.axvline(best_row(list(rows))["epoch"], color="0.5", linestyle=":", label="best.ckpt")
        if axis.get_legend_handles_labels()[0] and title != panels[2][0]:
            axis.legend()
        elif title == "validation score":
            axis.text(0.5, 0.5, "no validation images", ha="center", va="center", transform=axis.transAxes)
    write(path, lambda part: figure.savefig(part, format="png", dpi=100))
