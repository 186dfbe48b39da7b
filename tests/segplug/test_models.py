"""GBCNet on every kind of encoder, by name beside smp's models."""

import json
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.encoders import get_encoder

from segplug.errors import SegplugError
from segplug.gbcnet import GBCNet
from segplug.models import MODELS, create_model, parameters, register_with_smp
from yoloplug.blocks import GBC

# With a stride-2 skip, without one (mit, timm's four-stage models), and one that starts at stride 1 (vgg).
ENCODERS: list[Any] = ["tu-lcnet_050", "resnet18", "mit_b0", "tu-edgenext_xx_small", "tu-convnext_atto"]
ENCODERS += [pytest.param("vgg11", marks=pytest.mark.slow)]
SMALL = {"decoder_channels": (32, 32, 16, 16), "detail_channels": 8}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_any_encoder_and_any_size(encoder: str) -> None:
    model = create_model("gbcnet", encoder, classes=2, **SMALL).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 33, 47)).shape == (1, 2, 33, 47)


@pytest.mark.parametrize("depth", [3, 4, 5])
@pytest.mark.parametrize("encoder", ["tu-lcnet_050", "mit_b0"])
def test_depths(encoder: str, depth: int) -> None:
    model = create_model("gbcnet", encoder, in_channels=1, encoder_depth=depth, **SMALL)
    assert sum(isinstance(m, GBC) for m in model.decoder.modules()) == depth - 1
    assert model(torch.rand(2, 1, 64, 64)).shape == (2, 1, 64, 64)


@pytest.mark.parametrize("options", [{}, {"gate": "sigmoid", "blocks": 2}, {"zero_init": True}])
def test_every_weight_learns(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = create_model("gbcnet", "tu-lcnet_050", **SMALL, **options)
    zero = {n for n, p in model.named_parameters() if n.endswith("gain.weight")}
    assert bool(zero) == bool(options.get("zero_init"))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):  # behind a zero gain the gradient arrives with the second step
        optimizer.zero_grad()
        torch.nn.functional.softplus(-model(torch.rand(2, 3, 64, 64))).mean().backward()
        optimizer.step()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]
    assert dead == []


def test_zero_init_lets_features_pass_at_the_start() -> None:
    model = create_model("gbcnet", "tu-lcnet_050", zero_init=True, **SMALL)
    for block in (m for m in model.decoder.modules() if isinstance(m, GBC)):
        x = torch.rand(1, block.gain.weight.numel(), 8, 8)
        assert block(x).equal(x)


def test_a_network_can_draw_a_line_of_one_pixel() -> None:
    torch.manual_seed(0)
    model = create_model("gbcnet", "tu-lcnet_050", encoder_depth=3, **SMALL)
    image = torch.full((2, 3, 32, 32), 0.5)
    target = torch.zeros(2, 1, 32, 32)
    image[..., 13] = -0.5
    target[..., 13] = 1
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(image), target).backward()
        optimizer.step()
    assert ((model(image) > 0) == target.bool()).all()


def test_names() -> None:
    assert {"gbcnet", "unet", "unetplusplus", "deeplabv3plus", "segformer", "upernet", "fpn"} <= set(MODELS)
    model = create_model("FPN", "tu-lcnet_050")
    assert isinstance(model, smp.FPN) and parameters(model) > 0


@pytest.mark.parametrize(
    ("name", "encoder", "options", "message"),
    [
        ("gbcnett", "resnet18", {}, "unknown model 'gbcnett'; did you mean gbcnet"),
        ("gbcnet", "resnet-18", {}, "unknown encoder 'resnet-18'; did you mean .*resnet18"),
        ("gbcnet", "tu-lcnet_51", {}, "unknown encoder 'tu-lcnet_51'; did you mean tu-lcnet"),
        ("gbcnet", "tu-lcnet_050", {"encoder_depth": 2}, "encoder_depth must be 3, 4 or 5, got 2"),
        ("gbcnet", "tu-lcnet_050", {"decoder_channels": (32, 16)}, "4 decoder widths are needed"),
        ("gbcnet", "tu-lcnet_050", {"gate": "tanh"}, "gate must be one of"),
        ("gbcnet", "tu-lcnet_050", {"colour": 1}, "cannot build gbcnet on tu-lcnet_050"),
        ("unet", "resnet18", {"encoder_weights": "moon"}, "cannot build unet"),
    ],
)
def test_wrong_names_and_options_are_explained(name: str, encoder: str, options: dict, message: str) -> None:
    with pytest.raises(SegplugError, match=message):
        create_model(name, encoder, **options)


def test_smp_knows_gbcnet_once_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smp, "MODEL_ARCHITECTURES_MAPPING", dict(smp.MODEL_ARCHITECTURES_MAPPING))
    monkeypatch.setattr(smp, "GBCNet", GBCNet, raising=False)
    register_with_smp()
    register_with_smp()
    model = smp.create_model("GBCNet", "tu-lcnet_050", encoder_weights=None, **SMALL).eval()
    model.save_pretrained(tmp_path)
    again = smp.from_pretrained(str(tmp_path)).eval()
    x = torch.rand(1, 3, 40, 40)
    with torch.inference_mode():
        assert again(x).equal(model(x))


def test_saved_models_ask_for_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segplug.gbcnet.get_encoder", lambda *a, **k: get_encoder(*a, **{**k, "weights": None}))
    GBCNet("tu-lcnet_050", encoder_weights="imagenet", **SMALL).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["encoder_weights"] is None


def test_smp_with_a_foreign_gbcnet_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smp, "GBCNet", object, raising=False)
    with pytest.raises(SegplugError, match="already has another GBCNet"):
        register_with_smp()
