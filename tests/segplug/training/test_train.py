"""Training repeats, resumes, survives a kill and says what went wrong."""

import csv
import json
import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

import segplug.inference.checkpoint
from segplug.errors import NonFiniteLoss, SegplugError
from segplug.inference.checkpoint import read_checkpoint
from segplug.training.config import TrainConfig
from segplug.training.run import train
from yoloplug.files import WriteError

Tiny = Callable[..., TrainConfig]


class StopBefore(L.Callback):
    """Break off as an epoch begins."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            raise InterruptedError


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(folder / "last.ckpt")["state_dict"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(a[k].equal(b[k]) for k in a)


def table(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without the wall times."""
    with (folder / "metrics.csv").open() as handle:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(handle)]


def test_a_run_learns_and_leaves_its_files(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny(epochs=6, lr=5e-3)
    out = train(config)
    files = ["best.ckpt", "config.json", "last.ckpt", "metrics.csv", "results.png", "split.csv"]
    assert sorted(p.name for p in out.iterdir() if p.name != ".lock") == files
    assert json.loads((out / "config.json").read_text()) == config.plain()
    rows = table(out)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert float(rows[-1]["train_loss"]) < 0.85 * float(rows[0]["train_loss"])
    best = read_checkpoint(out / "best.ckpt")["segplug"]["row"]
    assert best["val_iou_crack"] == max(float(row["val_iou_crack"]) for row in rows)
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\nepoch ") == 6 and "6 training and 2 validation images" in shown.err


@pytest.mark.slow
def test_two_runs_of_one_seed_are_equal_to_the_bit(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny()
    first = train(config)
    again = train(replace(config, out=str(tmp_path / "again"), workers=2))
    other = train(replace(config, out=str(tmp_path / "other"), seed=1))
    assert same(weights(first), weights(again)) and table(first) == table(again)
    assert not same(weights(first), weights(other))


def test_two_parts_of_a_run_are_the_whole(tiny: Tiny, tmp_path: Path) -> None:
    check_two_parts(tiny(epochs=2, ema=0.9, accumulate=2), 1, tmp_path / "parts")


@pytest.mark.slow
def test_two_and_two_epochs_are_four_with_random_depth(tiny: Tiny, tmp_path: Path) -> None:
    # mit_b0 drops paths at random: the random state must follow too.
    options = {"decoder_segmentation_channels": 16}
    config = tiny(model="segformer", encoder="mit_b0", options=options, epochs=4, batch=2, ema=0.9, accumulate=2)
    check_two_parts(config, 2, tmp_path / "parts")


def check_two_parts(config: TrainConfig, first: int, out: Path) -> None:
    """Broken off after `first` epochs and resumed, a run has the weights and the table of an unbroken one."""
    whole = train(config)
    parts = replace(config, out=str(out))
    with pytest.raises(InterruptedError):
        train(parts, [StopBefore(first)])
    assert len(table(out)) == first
    train(replace(parts, resume=True))
    assert same(weights(whole), weights(out))
    assert table(whole) == table(out)
    assert read_checkpoint(whole / "best.ckpt")["epoch"] == read_checkpoint(out / "best.ckpt")["epoch"]


KILLED = """
import os, signal, sys, json, torch, lightning as L
from segplug.training.config import TrainConfig
from segplug.training.run import train
from yoloplug.files import WriteError
torch.set_num_threads(1)
class Kill(L.Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if trainer.current_epoch == 1 and index == 0:
            os.kill(os.getpid(), signal.SIGKILL)
train(TrainConfig(**json.loads(sys.argv[1])), [Kill()])
"""


@pytest.mark.slow
def test_kill_9_in_mid_epoch_costs_that_epoch_only(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(epochs=3, batch=2, ema=0.9, accumulate=2, schedule="poly")
    whole = train(config)
    killed = replace(config, out=str(tmp_path / "killed"), resume=True)
    command = [sys.executable, "-c", KILLED, json.dumps(killed.plain())]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(table(tmp_path / "killed")) == 1
    train(killed)
    assert same(weights(whole), weights(tmp_path / "killed"))
    assert table(whole) == table(tmp_path / "killed")


def test_resuming_a_finished_run_changes_nothing(tiny: Tiny) -> None:
    config = tiny(epochs=1)
    before = weights(train(config))
    assert same(before, weights(train(replace(config, resume=True))))


def test_a_folder_with_a_run_is_not_overwritten(tiny: Tiny) -> None:
    config = tiny(epochs=1)
    train(config)
    with pytest.raises(SegplugError, match="already holds a run; resume it"):
        train(config)
    with pytest.raises(SegplugError, match=r"other settings \(lr 0\.001 -> 0\.01\)"):
        train(replace(config, resume=True, lr=0.01))


def test_a_loss_that_is_not_finite_stops_and_keeps_last(tiny: Tiny) -> None:
    class Poison(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            if trainer.current_epoch == 1:
                next(pl_module.parameters()).data.fill_(float("nan"))

    config = tiny()
    with pytest.raises(NonFiniteLoss, match=r"loss became nan in epoch 2, step 1;.*lower lr \(now 0\.001\)") as caught:
        train(config, [Poison()])
    error = pickle.loads(pickle.dumps(caught.value))  # as a worker hands it on
    assert str(error) == str(caught.value) and (error.epoch, error.step) == (2, 1) and math.isnan(error.value)
    assert all(w.isfinite().all() for w in weights(Path(config.out)).values())


def test_a_full_disk_is_reported_and_the_old_checkpoint_kept(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(epochs=1)
    out = train(config)
    before = (out / "last.ckpt").read_bytes()
    full = "[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file: No space left on device"

    def save(contents: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError(full)

    monkeypatch.setattr(segplug.inference.checkpoint.torch, "save", save)
    with pytest.raises(WriteError, match=r"cannot write .*last\.ckpt .*No space left.*earlier last\.ckpt is kept"):
        segplug.inference.checkpoint.AtomicCheckpointIO().save_checkpoint({}, out / "last.ckpt")
    assert (out / "last.ckpt").read_bytes() == before
    assert not list(out.glob(".*part"))


def test_without_validation_the_last_epoch_is_best(tiny: Tiny) -> None:
    out = train(tiny(val_split=0))
    assert read_checkpoint(out / "best.ckpt")["segplug"]["row"]["epoch"] == 2
    assert "val_loss" not in table(out)[0]


def test_a_val_split_is_used_and_test_never_read(tiny: Tiny, cracks: Path, add_crack: Callable[..., None]) -> None:
    add_crack(cracks / "val", "v", 30)
    (cracks / "test" / "images" / "a.png").write_bytes(b"broken")
    out = train(tiny(epochs=1))
    assert float(table(out)[0]["val_loss"]) > 0
    images = {row["image"]: row["split"] for row in csv.DictReader((out / "split.csv").open())}
    assert images.pop("v") == "val" and len(images) == 8 and set(images.values()) == {"train"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"crop": 100}, "crop must be a multiple of 32, got 100"),
        ({"options": {"gate": object()}}, "options and augment must hold numbers"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"val_split": 1.0}, "val_split must be"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"precision": "64"}, "precision must be one of auto, 32, bf16, 16"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "cuda:99"}, "torch sees"),
        ({"model": "yolo"}, "unknown model 'yolo'"),
        ({"loss": "bec"}, "unknown loss 'bec'"),
        ({"power": 0}, "power must be above 0"),
        ({"final_lr": 2}, "final_lr must be at most 1"),
        ({"ema": 1}, "ema must be above 0 and below 1"),
        ({"crack_share": 1.5}, "crack_share must be at most 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"patience": 3, "val_split": 0}, "patience needs validation images"),
        ({"device": "cuda:0", "devices": 2}, "device must be one without a number when devices > 1"),
        ({"devices": 9}, "6 training images cannot be shared by 9 devices"),
        ({"augment": "none.yaml"}, "none.yaml: no such file"),
        ({"augment": ["Flop"]}, "unknown transform 'Flop'"),
        ({"data": "nowhere"}, "nowhere: no such data folder"),
    ],
)
def test_wrong_settings_are_named(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SegplugError, match=message):
        train(tiny(**changes))
