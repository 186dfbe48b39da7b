"""Every model by name: any size, its encoder or its own backbone, and what is refused."""

from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch

import segplug
from segplug.errors import SegplugError
from segplug.inference.probability import fast_layout
from segplug.models.architectures import ARCHITECTURES, installed_encoders
from segplug.models.create import MODELS, create_model, encoder_for, encoder_names, parameters, register_with_smp
from segplug.models.gbcnet import GBCNet
from segplug.models.scsegamba import SCSegamba

SMALL = {"decoder_channels": (32, 32, 16, 16), "detail_channels": 8}
TINY_ENCODERS = {"scsegamba": None, "dpt": "tu-vit_tiny_patch16_224"}
NARROW = {
    "unetplusplus": {"decoder_channels": (32, 16, 16, 8, 8)},
    "manet": {"decoder_channels": (32, 16, 16, 8, 8), "decoder_pab_channels": 8},
    "upernet": {"decoder_channels": 32},
    "deeplabv3": {"decoder_channels": 16},
    "deeplabv3plus": {"decoder_channels": 16},
    "dpt": {"decoder_intermediate_channels": (16, 16, 16, 16), "decoder_fusion_channels": 16},
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_any_size(name: str) -> None:
    model = create_model(name, TINY_ENCODERS.get(name, "tu-lcnet_050"), **NARROW.get(name, {})).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 33, 47)).shape == (1, 1, 33, 47)


@pytest.mark.parametrize("name", ["unet", "unetplusplus", "deeplabv3plus", "segformer", "upernet"])
def test_baselines_train_on_their_default_encoder(name: str) -> None:
    model = create_model(name)
    assert encoder_for(name) == "tu-mobilenetv3_large_100" and isinstance(model, getattr(smp, type(model).__name__))
    model(torch.rand(2, 3, 40, 56)).square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters()) and parameters(model) > 3e6


def test_padding_leaves_the_image_where_it_was() -> None:
    """On a size that needs none the model is smp's own."""
    torch.manual_seed(0)
    ours = create_model("unetplusplus", "tu-lcnet_050", **NARROW["unetplusplus"]).eval()
    theirs = smp.UnetPlusPlus("tu-lcnet_050", encoder_weights=None, **NARROW["unetplusplus"]).eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(ours(x), theirs(x))


def test_scsegamba_has_its_own_backbone() -> None:
    model = create_model("SCSegamba", as_published=True, drop_path=0.0)
    assert isinstance(model, SCSegamba) and model.backbone.layers[0].SAVSS_2D.as_published
    assert parameters(model) == 3_051_399 and encoder_for("scsegamba") is None


def test_names() -> None:
    assert {"gbcnet", "scsegamba", "unet", "unetplusplus", "deeplabv3plus", "segformer", "upernet"} <= set(MODELS)
    assert all(row.paper.startswith(("arXiv:", "doi:")) for row in ARCHITECTURES.values())
    assert set(smp.MODEL_ARCHITECTURES_MAPPING) <= set(MODELS) and "hornet_tiny" in encoder_names()
    assert isinstance(create_model("FPN", "tu-lcnet_050"), smp.FPN)
    assert segplug.GBCNet is GBCNet and segplug.SCSegamba is SCSegamba and segplug.create_model is create_model
    with pytest.raises(AttributeError, match="no attribute 'GBCnet'"):
        segplug.GBCnet  # noqa: B018


def test_what_is_told_without_torch_is_so() -> None:
    names = encoder_names()
    assert set(installed_encoders()) == set(names) and installed_encoders()[100:] == names[-len(names) + 100 :]
    assert list(ARCHITECTURES) == list(MODELS)
    for name, row in ARCHITECTURES.items():
        with torch.device("meta"):
            assert round(parameters(create_model(name)) / 1e6, 2) == row.parameters, name


@pytest.mark.parametrize(
    ("name", "encoder", "options", "message"),
    [
        ("gbcnett", "resnet18", {}, "unknown model 'gbcnett'; did you mean gbcnet"),
        ("gbcnet", "resnet-18", {}, "unknown encoder 'resnet-18'; did you mean .*resnet18"),
        ("gbcnet", "tu-lcnet_51", {}, "unknown encoder 'tu-lcnet_51'; did you mean tu-lcnet"),
        ("gbcnet", "tu-lcnet_050", {"encoder_depth": 2}, "encoder_depth must be 3, 4 or 5, got 2"),
        ("gbcnet", "tu-lcnet_050", {"decoder_channels": (32, 16)}, "4 decoder widths are needed"),
        ("gbcnet", "tu-lcnet_050", {"gate": "tanh"}, "gate must be one of"),
        ("gbcnet", "tu-lcnet_050", {"upsample": "nearest"}, "upsample must be one of"),
        ("gbcnet", "tu-lcnet_050", {"colour": 1}, "cannot build gbcnet on tu-lcnet_050"),
        ("gbcnet", "resnet18", {"blok": "GBC"}, "unknown option of gbcnet 'blok'; did you mean block"),
        ("unet", "resnet18", {"encoder_weights": "moon"}, "cannot build unet on resnet18"),
        ("unet", "resnet18", {"block": "gnConv"}, "unknown option of unet 'block'"),
        ("unet", "resnet18", {"aux_params": {"classes": 2}}, "unknown option of unet 'aux_params'"),
        ("scsegamba", "resnet18", {}, "scsegamba has its own backbone and takes no encoder; leave out encoder"),
        ("scsegamba", None, {"encoder_weights": "imagenet"}, "leave out encoder_weights 'imagenet'"),
        ("scsegamba", None, {"droppath": 0.1}, "unknown option of scsegamba 'droppath'; did you mean drop_path"),
        ("gbcnet", "hornet_tiny", {"encoder_weights": "imagenet"}, "get the published .pth from https://github.com"),
        ("gbcnet", "hornet_tiny", {"encoder_weights": "no.pth"}, "no.pth: no such weights file"),
        ("unet", "hornet_tiny", {"encoder_depth": 1, "decoder_channels": (8,)}, "depth must be 2 to 5, got 1"),
        ("deeplabv3", "hornet_tiny", {}, "HorNet has no dilated form for output stride 8"),
    ],
)
def test_wrong_names_and_options_are_explained(name: str, encoder: str | None, options: dict, message: str) -> None:
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


def test_smp_with_a_foreign_gbcnet_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smp, "GBCNet", object, raising=False)
    with pytest.raises(SegplugError, match="already has another GBCNet"):
        register_with_smp()


@pytest.mark.parametrize("name", ["gbcnet", "unet", "segformer"])
def test_the_fast_layout_changes_no_answer(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, "tu-mobilenetv3_small_050", None).double().eval()
    images = torch.rand(1, 3, 70, 96, dtype=torch.float64)
    with torch.inference_mode():
        before = model(images)
        model = fast_layout(model, torch.device("mps"))
        assert all(weight.is_contiguous() for weight in model.parameters())
        after = fast_layout(model, torch.device("cpu"))(images)
    assert not all(weight.is_contiguous() for weight in model.parameters())
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
