"""Average of weights, accumulation, early stopping, logs and pictures of a run."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import lightning.fabric.loggers.tensorboard as fabric_tensorboard
import pytest
import torch
from torch import nn

from segplug.data.dataset import CrackDataset
from segplug.data.readers import open_data
from segplug.errors import SegplugError
from segplug.inference.checkpoint import EMA, load_model, read_checkpoint
from segplug.inference.probability import crack_probability
from segplug.metrics import MetricSum
from segplug.training.callbacks.epoch_record import EpochRecord, best_row
from segplug.training.callbacks.pictures import draw_curves
from segplug.training.config import TrainConfig
from segplug.training.ema import ema_of
from segplug.training.run import train

Tiny = Callable[..., TrainConfig]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as handle:
        return list(csv.DictReader(handle))


def val_iou(checkpoint: Path, data: Path, names: set[str]) -> float:
    """Crack IoU on the images called so, by one process."""
    model, _ = load_model(checkpoint)
    dataset = CrackDataset([p for p in open_data(data).samples("train") if p.name in names])
    metrics = MetricSum()
    for i in range(len(dataset)):
        image, mask = dataset.arrays(i)
        metrics.add(crack_probability(model, image, torch.device("cpu")), mask)
    return metrics.scores()["iou_crack"]


def val_names(folder: Path) -> set[str]:
    with (folder / "split.csv").open() as handle:
        return {row["image"] for row in csv.DictReader(handle) if row["split"] == "val"}


def test_the_average_is_the_recurrence() -> None:
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = ema_of(model, 0.2)
    values, expected = [3.0, 5.0, -1.0, 2.0], 3.0
    for n, value in enumerate(values):
        nn.init.constant_(model[0].weight, value)
        nn.init.constant_(model[1].running_mean, 2 * value)
        average.update_parameters(model)
        if n:
            decay = min(0.2, (1 + n) / (10 + n))
            expected = decay * expected + (1 - decay) * value
    assert average.module[0].weight.item() == pytest.approx(expected)
    assert average.module[1].running_mean.item() == pytest.approx(2 * expected)
    assert not any(p.requires_grad for p in average.parameters()) and model[0].weight.requires_grad


def test_the_average_is_validated_and_handed_out(tiny: Tiny, cracks: Path) -> None:
    out = train(tiny(ema=0.8, lr=1e-2))
    last, best = read_checkpoint(out / "last.ckpt"), read_checkpoint(out / "best.ckpt")
    trained = {k: v for k, v in last["state_dict"].items() if k.startswith("model.")}
    averaged = {"model." + k.removeprefix(EMA): v for k, v in last["state_dict"].items() if k.startswith(EMA)}
    assert trained.keys() == averaged.keys() == best["state_dict"].keys()
    assert not all(trained[k].equal(averaged[k]) for k in trained)
    for name, row in (("last", rows(out)[-1]), ("best", best["segplug"]["row"])):
        assert val_iou(out / f"{name}.ckpt", cracks, val_names(out)) == pytest.approx(float(row["val_iou_crack"]))


class CountSteps(L.Callback):
    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])


def test_accumulated_batches_are_one_step_of_the_schedule(tiny: Tiny) -> None:
    steps = CountSteps()  # 6 images, batches of 2: 3 batches, so a step of 2 and a step of 1
    train(tiny(epochs=3, batch=2, accumulate=2, warmup_epochs=0, lr=0.1, schedule="poly", power=1, final_lr=0), [steps])
    assert steps.rates == pytest.approx([0.1 * (1 - k / 6) for k in range(6)])


class Worsen(L.Callback):
    """Validation falls from epoch to epoch."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.row["val_iou_crack"] = 1 / (trainer.current_epoch + 1)


def test_patience_ends_a_run_and_resuming_keeps_it_ended(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny(epochs=9, patience=1)
    out = train(config, [Worsen()])
    assert len(rows(out)) == 2 and read_checkpoint(out / "best.ckpt")["segplug"]["row"]["epoch"] == 1
    assert "epoch 2/9" in (shown := capsys.readouterr().err) and "stopped: validation no longer improves" in shown
    train(replace(config, resume=True), [Worsen()])
    assert len(rows(out)) == 2
    train(replace(config, resume=True, patience=2), [Worsen()])
    assert len(rows(out)) == 3


def test_nan_in_validation_is_reported(tiny: Tiny) -> None:
    class Poison(L.Callback):
        def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            next(pl_module.parameters()).data.fill_(float("nan"))

    with pytest.raises(SegplugError, match="loss became nan in epoch 1, validation; "):
        train(tiny(), [Poison()])


def test_changed_images_are_not_resumed(tiny: Tiny, cracks: Path, add_crack: Callable[..., None]) -> None:
    config = tiny(epochs=1)
    train(config)
    add_crack(cracks / "train", "new", 40)
    with pytest.raises(SegplugError, match=r"split\.csv: the images or their groups changed since this run began"):
        train(replace(config, resume=True))


@pytest.mark.slow
def test_tensorboard_and_samples(tiny: Tiny) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = train(tiny(tensorboard=True, samples_every=2))
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    shown = [(e.step, e.value) for e in events.Scalars("val_iou_crack")]
    assert shown == [(i + 1, pytest.approx(float(row["val_iou_crack"]))) for i, row in enumerate(rows(out))]
    assert {p.name for p in (out / "samples").iterdir()} == {f"{name}_epoch002.png" for name in val_names(out)}
    for file in (out / "samples").iterdir():
        assert cv2.imread(str(file)).shape[1] == 3 * 64  # photo, label, comparison


def test_tensorboard_that_is_not_installed_is_one_message(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(fabric_tensorboard, name, False)
    with pytest.raises(SegplugError, match="tensorboard is not installed; pip install tensorboard"):
        train(tiny(tensorboard=True))


def test_augment_is_saved_in_full_and_given_back(tiny: Tiny, tmp_path: Path) -> None:
    file = tmp_path / "augment.yaml"
    file.write_text("- HorizontalFlip: {p: 0.5}\n")
    out = train(tiny(epochs=1, augment=str(file)))
    saved = read_checkpoint(out / "last.ckpt")["segplug"]["train"]
    assert saved["augment"] == [{"HorizontalFlip": {"p": 0.5}}]
    assert TrainConfig(**saved).plain() == saved


def test_curves_with_and_without_validation(tmp_path: Path) -> None:
    table = [{"epoch": 1.0, "lr": 0.1, "train_loss": 2.0}, {"epoch": 2.0, "lr": 0.05, "train_loss": 1.0}]
    draw_curves(table, tmp_path / "a.png")
    scores = {"val_loss": 1.0, "val_iou_crack": 0.5, "val_miou": 0.6, "val_f1": 0.7, "val_ods_f1": 0.8}
    draw_curves([{**row, **scores} for row in table], tmp_path / "b.png")
    pictures = [cv2.imread(str(tmp_path / name)) for name in ("a.png", "b.png")]
    assert pictures[0].shape == pictures[1].shape and (pictures[0] != pictures[1]).any()


def test_the_record_prefers_the_lower_loss_on_a_tie(tmp_path: Path) -> None:
    table = [{"epoch": float(i), "val_iou_crack": 0.5, "val_loss": loss} for i, loss in enumerate((3, 1, 2))]
    assert best_row(table)["epoch"] == 1
    record = EpochRecord(tmp_path, patience=1)
    record.load_state_dict({"rows": table})
    assert record.state_dict() == {"rows": table}
