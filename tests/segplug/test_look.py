"""`segplug look`: views of a small trained network, in the photo's pixels, and errors."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from segplug.cli import main
from segplug.inference.checkpoint import FORMAT, MODEL
from segplug.look import Inspection
from segplug.models.create import create_model

MODEL_SETTINGS = {
    "name": "gbcnet",
    "encoder": "tu-lcnet_050",
    "encoder_depth": 4,
    "decoder_channels": [32, 16, 16],
    "detail_channels": 8,
}
SIZE = (50, 70)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = create_model(**MODEL_SETTINGS, encoder_weights=None)
    with torch.no_grad():
        model.segmentation_head[0].weight.normal_(std=0.5)
    state = {MODEL + key: value for key, value in model.state_dict().items()}
    file = tmp_path_factory.mktemp("run") / "best.ckpt"
    train = {"data": "walls", "seed": 0, "val_split": 0.1, "source_rule": None}
    about = {
        "format": FORMAT,
        "model": {**MODEL_SETTINGS, "in_channels": 3, "classes": 1},
        "train": train,
        "row": {"epoch": 1},
    }
    torch.save({"state_dict": state, "segplug": about}, file)
    return file


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photo") / "wall.png"
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8))
    return file


def test_without_a_layer_it_lists_what_there_is(checkpoint, photo, capsys):
    assert main(["look", str(checkpoint), str(photo), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "gbcnet (best.ckpt)" in shown and "of the pixels are crack" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.endswith("gate (GBC)")] == [
        "decoder.bridge.1",
        "decoder.fusions.0.blocks.0",
        "decoder.fusions.1.blocks.0",
    ]
    assert "segmentation_head" in shown and "--what cam without --layer explains encoder" in shown


def test_a_layer_shows_all_it_has(checkpoint, photo, tmp_path):
    argv = ["look", str(checkpoint), str(photo), "--layer", "decoder.bridge", "--out", str(tmp_path), "--save-arrays"]
    assert main([*argv, "--device", "cpu"]) == 0
    names = ["decoder.bridge-cam", "decoder.bridge-features", "decoder.bridge.1-gate"]
    assert sorted(file.stem.removeprefix("wall-") for file in tmp_path.glob("*.png")) == names
    gate, heat = (np.load(tmp_path / f"wall-{name}.npz") for name in (names[2], names[0]))
    # 70 x 50 px, padded at the right and bottom to a multiple of 16.
    assert gate["covers_px"].tolist() == heat["covers_px"].tolist() == [0, 0, 80, 64]
    assert gate["gate"].shape == (32, 4, 5) and gate["gate"].min() == 0
    assert heat["heat"].shape == (64, 80) and heat["heat"].max() == pytest.approx(1)
    assert all(cv2.imread(str(file)).std() > 10 for file in tmp_path.glob("*.png"))


def test_the_heat_map_is_that_of_the_found_pixels(checkpoint, photo):
    """By hand: gradient of the sum of the crack pixels' logits at the encoder's deepest map."""
    look = Inspection(checkpoint, photo, threshold=0.4, device="cpu")
    kept = []
    hook = look.model.encoder.register_forward_hook(lambda m, x, y: kept.append(y[-1].requires_grad_()))
    from segplug.inference.probability import image_logits
    from yoloplug.look.layer_cam import layer_cam, outputs_of

    logits = image_logits(look.model, look.pixels)
    hook.remove()
    found = logits.sigmoid() >= 0.4
    (gradient,) = torch.autograd.grad(logits[found].sum(), kept)
    expected = (gradient.clamp(min=0) * kept[0]).sum(1)[0].clamp(min=0).detach()
    with outputs_of([look.model.encoder]) as outputs:
        again = image_logits(look.model, look.pixels)
    (cam,) = layer_cam(again[found].sum(), [outputs[look.model.encoder][-1]])
    assert found.any() and expected.any()
    assert torch.allclose(cam, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "decoder.bridg"], "unknown layer 'decoder.bridg'; did you mean decoder.bridge"),
        (
            ["--layer", "decoder.reduce", "--what", "gate"],
            "layer decoder.reduce has no gate; layers that have: decoder",
        ),
        (["--layer", "decoder.bridge", "--what", "offset"], "has no offset; layers that have: none"),
        (["--crop", "60", "0", "20", "20"], "crop 60 0 20 20 does not lie in"),
        (["--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_mistakes_are_one_line_and_code_2(checkpoint, photo, tmp_path, capsys, options, message):
    assert main(["look", str(checkpoint), str(photo), "--out", str(tmp_path / "o"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "o").exists()


def test_files_that_are_none(checkpoint, photo, tmp_path, capsys):
    large = tmp_path / "large.png"
    cv2.imwrite(str(large), np.zeros((10, 1100, 3), np.uint8))
    for model, image, message in (
        (tmp_path / "none.ckpt", photo, "no such checkpoint"),
        (checkpoint, tmp_path / "none.png", "no such image"),
        (checkpoint, large, "1100 x 10 px are too many"),
    ):
        assert main(["look", str(model), str(image)]) == 2
        assert message in capsys.readouterr().err
    assert Inspection(checkpoint, large, crop=(50, 0, 100, 10)).scene.image.shape == (10, 100, 3)
