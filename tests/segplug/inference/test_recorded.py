"""Files of an earlier segplug load for ever: `recorded/format1` is a run of commit d0c8a8e, cut after epoch 3."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from segplug.inference.checkpoint import load_model, read_checkpoint
from segplug.inference.predictor import load
from segplug.training.config import TrainConfig
from segplug.training.run import train

FORMAT1 = Path(__file__).parent.parent / "recorded" / "format1"
"""best.ckpt (epoch 2), last.ckpt (epoch 3 of 4, with moving average and optimizer), best.onnx; expected.npz: a photo
and the probabilities that the first two gave."""


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt", "best.onnx"])
def test_a_recorded_file_predicts_what_it_predicted(name: str) -> None:
    expected = np.load(FORMAT1 / "expected.npz")
    predictor = load(FORMAT1 / name, "cpu")
    found = predictor(expected["photo"])
    np.testing.assert_allclose(found, expected[name.partition(".")[0]], atol=2e-5)
    assert predictor.threshold == 0.5


def test_a_recorded_checkpoint_says_what_it_was() -> None:
    _, about = load_model(FORMAT1 / "best.ckpt")
    assert about["row"]["epoch"] == 2 and about["model"]["encoder"] == "tu-test_mambaout"


def test_a_recorded_run_resumes(cracks: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(FORMAT1, run)
    settings = read_checkpoint(run / "last.ckpt")["segplug"]["train"]
    train(TrainConfig(**{**settings, "data": str(cracks), "out": str(run), "resume": True}))
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[3]["val_loss"]) == pytest.approx(1.5141, abs=0.002)
