"""Stock training lowers the temperature of dynamic convolutions, in the model and in its EMA."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.utils import callbacks

from yoloplug.blocks import DynamicConv, ODConv
from yoloplug.blocks.parts.experts.annealing import Annealed
from yoloplug.bridge.patches.annealing import on_train_epoch_start


def temperatures(model: nn.Module) -> set[float]:
    return {round(float(m.temperature), 3) for m in model.modules() if isinstance(m, Annealed)}


def fake_trainer(model: nn.Module, ema: bool = True) -> SimpleNamespace:
    return SimpleNamespace(
        model=model, ema=SimpleNamespace(ema=deepcopy(model)) if ema else None, epoch=0, start_epoch=0
    )


def test_every_new_model_and_trainer_gets_the_callback_once() -> None:
    assert callbacks.get_default_callbacks()["on_train_epoch_start"].count(on_train_epoch_start) == 1
    assert on_train_epoch_start in YOLO("yolov8n.yaml").callbacks["on_train_epoch_start"]


def test_model_and_ema_follow_the_line() -> None:
    trainer = fake_trainer(nn.Sequential(DynamicConv(4, 4)))
    for trainer.epoch, expected in ((0, 30.0), (1, 27.1), (9, 3.9), (10, 1.0), (50, 1.0)):
        on_train_epoch_start(trainer)
        assert temperatures(trainer.model) == temperatures(trainer.ema.ema) == {expected}


def test_resumed_epoch_and_other_ranks() -> None:
    """Training resumed at epoch 4 continues the line; a process without EMA (DDP rank above 0) anneals its model."""
    trainer = fake_trainer(nn.Sequential(DynamicConv(4, 4)), ema=False)
    trainer.epoch = trainer.start_epoch = 4
    on_train_epoch_start(trainer)
    assert temperatures(trainer.model) == {18.4}


def test_own_line_replaces_the_default_one() -> None:
    model = YOLO("yolov8n-C2f_DynamicConv.yaml")
    model.clear_callback("on_train_epoch_start")
    model.add_callback("on_train_epoch_start", lambda trainer: on_train_epoch_start(trainer, epochs=20))
    trainer = fake_trainer(model.model)
    trainer.epoch = 10
    for callback in model.callbacks["on_train_epoch_start"]:
        callback(trainer)
    assert temperatures(trainer.model) == {15.5}


def test_it_is_announced_once_and_only_where_it_happens(caplog: pytest.LogCaptureFixture) -> None:
    trainer = fake_trainer(nn.Sequential(DynamicConv(4, 4), DynamicConv(4, 4)))
    with caplog.at_level("INFO", logger="ultralytics"):
        for trainer.epoch in (0, 1):
            on_train_epoch_start(trainer)
        on_train_epoch_start(fake_trainer(nn.Conv2d(3, 3, 1)))
        on_train_epoch_start(fake_trainer(ODConv(4, 4)))
    expected = "yoloplug: the temperature of kernel attention falls from 30 to 1 until epoch 11"
    assert [record.message for record in caplog.records] == [expected]


@pytest.mark.slow
def test_stock_training_anneals_and_saves_the_temperature(tiny_detection_data: Path, tmp_path: Path) -> None:
    seen: list[tuple[set[float], set[float]]] = []

    def note(trainer: Any) -> None:
        seen.append((temperatures(trainer.model), temperatures(trainer.ema.ema)))

    model = YOLO("yolov8n-C2f_DynamicConv.yaml")
    model.add_callback("on_train_epoch_end", note)
    model.train(
        data=str(tiny_detection_data), epochs=2, imgsz=64, batch=2, workers=0, device="cpu", plots=False,
        project=str(tmp_path), name="t",
    )  # fmt: skip
    assert seen == [({30.0}, {30.0}), ({27.1}, {27.1})]
    saved = torch.load(tmp_path / "t" / "weights" / "last.pt", weights_only=False)["model"]
    assert temperatures(saved.float()) == {round(float(torch.tensor(27.1).half()), 3)}
