"""Every kind of model through training, checkpoint, evaluation and prediction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from segplug.cli import main
from segplug.errors import SegplugError
from segplug.evaluation.run import evaluate
from segplug.inference.checkpoint import load_model
from segplug.prediction import predict
from segplug.training.config import TrainConfig
from segplug.training.run import train

Tiny = Callable[..., TrainConfig]
WIDTHS = {"encoder_depth": 4, "decoder_channels": [32, 16, 16], "detail_channels": 8}


def test_scsegamba_trains_loads_offline_and_predicts(tiny: Tiny, cracks: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"model": "scsegamba", "encoder": None, "epochs": 1, "batch": 6, "crop": 32}
    out = train(tiny(**changes, options={"as_published": True}))
    model, about = load_model(out / "best.ckpt")
    assert about["model"] == {
        "name": "scsegamba", "encoder": None, "in_channels": 3, "classes": 1, "as_published": True
    }  # fmt: skip
    assert model.get_submodule("backbone.layers.0.SAVSS_2D").as_published
    assert len(predict(out / "best.ckpt", cracks / "test" / "images" / "b.png", tmp_path / "found", device="cpu")) == 1


@pytest.mark.slow
def test_scsegamba_is_scored_like_any_model(tiny: Tiny, cracks: Path) -> None:
    """Slow: each image goes through at 512 x 512 for the published protocol too."""
    out = train(tiny(model="scsegamba", encoder=None, options={}, epochs=1, batch=6, crop=32))
    scores = evaluate(out / "best.ckpt", cracks, device="cpu")
    assert scores["parameters"] == 3_051_399 and scores["images"] == 2


def test_scsegamba_with_an_encoder_is_refused_before_training(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match="scsegamba has its own backbone and takes no encoder"):
        train(tiny(model="scsegamba", options={}))
    assert not (tmp_path / "run").exists()


def test_every_variant_of_gbcnet_comes_back_from_its_checkpoint(tiny: Tiny) -> None:
    options = {**WIDTHS, "block": "gnConv", "block_options": {"order": 2}, "upsample": "dysample"}
    out = train(tiny(epochs=1, batch=6, options={**options, "deep_supervision": True}))
    model, about = load_model(out / "last.ckpt")
    assert {key: about["model"][key] for key in options} == options and len(model.auxiliary_heads) == 3
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 33, 47)).shape == (1, 1, 33, 47)


def test_a_run_records_the_encoder_that_the_model_chose(tiny: Tiny) -> None:
    config = tiny(encoder=None, epochs=1, batch=6, crop=32)
    out = train(config)
    for saved in (json.loads((out / "config.json").read_text()), load_model(out / "last.ckpt")[1]["train"]):
        assert saved["encoder"] == "tu-mobilenetv3_large_100"
    assert train(tiny(encoder=None, epochs=1, batch=6, crop=32, resume=True)) == out


def test_decoder_block_is_one_flag(cracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    command = ["train", "--data", str(cracks), "--out", str(run), "--encoder", "tu-lcnet_050", "--device", "cpu"]
    command += ["--epochs", "1", "--batch", "6", "--crop", "32", "--val-split", "0", "--option", "detail_channels=8"]
    assert main([*command, "--option", "decoder_channels=[16,16,16,16]", "--decoder-block", "SCConv"]) == 0
    saved = json.loads((run / "config.json").read_text())
    assert saved["options"] == {"decoder_channels": [16, 16, 16, 16], "detail_channels": 8, "block": "SCConv"}
    assert main([*command, "--out", str(tmp_path / "other"), "--decoder-block", "SConv"]) == 2
    assert "unknown decoder block 'SConv'; did you mean SCConv" in capsys.readouterr().err


def test_models_are_listed_with_size_and_paper(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from segplug.models.create import MODELS

    for name in set(MODELS) - {"gbcnet", "scsegamba"}:  # the others take seconds to build
        monkeypatch.delitem(MODELS, name)
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert "3.05  none: has its own" in shown and "tu-mobilenetv3_large_100  arXiv:2503.01113" in shown
    assert {"gbcnet", "scsegamba", "encoders:"} <= {line.split()[0] for line in shown.splitlines()}
    assert main(["models", "--encoders", "hornet_tiny"]) == 0
    assert capsys.readouterr().out.split() == ["hornet_tiny", "hornet_tiny_gf"]
