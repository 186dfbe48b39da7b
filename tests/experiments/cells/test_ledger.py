"""The ledger of a cell's epochs, also where a kill came between a checkpoint and its line."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiments.cells.ledger import Epochs, read_state
from experiments.trainers.crack.callbacks import ToLedger
from segplug.training.callbacks.epoch_record import EpochRecord


def test_a_resumed_training_writes_the_epochs_that_its_checkpoint_has(tmp_path: Path) -> None:
    epochs = Epochs(SimpleNamespace(folder=tmp_path))  # type: ignore[arg-type]
    epochs.done(1, 0.5, "val crack IoU 0.100")
    record = EpochRecord(tmp_path)
    record.rows = [
        {"epoch": 1, "seconds": 7.0, "train_loss": 0.5, "val_iou_crack": 0.1},
        {"epoch": 2, "seconds": 9.0, "train_loss": 0.4, "val_iou_crack": 0.2345},
    ]
    trainer: Any = SimpleNamespace(current_epoch=2, callbacks=[record, object()])
    for _ in range(2):
        ToLedger(epochs).on_train_start(trainer, None)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (tmp_path / "epochs.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2] and lines[0]["seconds"] < 7
    assert lines[1] == {"epoch": 2, "seconds": 9.0, "loss": 0.4, "monitor": "val crack IoU 0.234"}
    assert read_state(tmp_path, 5).epochs == 2
    record.rows, trainer.current_epoch = [], 0  # begun anew
    ToLedger(epochs).on_train_start(trainer, None)  # type: ignore[arg-type]
    assert not (tmp_path / "epochs.jsonl").exists()
