"""GBCNet on every kind of encoder, with every variant."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import Tensor
from torch.nn import functional as F

from segplug.errors import SegplugError
from segplug.losses.deep_supervision import supervised_loss
from segplug.models.create import create_model
from segplug.models.decoders import decoder_block
from segplug.models.decoders.dysample import DySample
from segplug.models.gbcnet import GBCNet
from yoloplug.blocks import GBC
from yoloplug.registry import BLOCKS

# With a stride-2 skip, without one (mit, timm's four-stage models), and one that starts at stride 1 (vgg).
ENCODERS: list[Any] = ["tu-lcnet_050", "resnet18", "mit_b0", "tu-edgenext_xx_small", "tu-convnext_atto"]
ENCODERS += [pytest.param(name, marks=pytest.mark.slow) for name in ("vgg11", "hornet_tiny", "hornet_tiny_gf")]
SMALL = {"decoder_channels": (32, 32, 16, 16), "detail_channels": 8}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"gate": "sigmoid", "blocks": 2},
    {"zero_init": True},
    {"upsample": "dysample", "deep_supervision": True},
    {"block": "gnConv", "block_options": {"order": 2}},
]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_any_encoder_and_any_size(encoder: str) -> None:
    model = create_model("gbcnet", encoder, classes=2, **SMALL).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 33, 47)).shape == (1, 2, 33, 47)


@pytest.mark.parametrize("depth", [3, 4, 5])
@pytest.mark.parametrize("encoder", ["tu-lcnet_050", "mit_b0"])
def test_depths(encoder: str, depth: int) -> None:
    model = create_model("gbcnet", encoder, in_channels=1, encoder_depth=depth, **SMALL)
    assert sum(isinstance(m, GBC) for m in model.modules()) == depth - 1
    assert model(torch.rand(2, 1, 64, 64)).shape == (2, 1, 64, 64)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_weight_learns(variant: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = create_model("gbcnet", "tu-lcnet_050", **SMALL, **variant)
    zero = {n for n, p in model.named_parameters() if n.endswith("gain.weight")}
    assert bool(zero) == bool(variant.get("zero_init"))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):  # behind a zero gain the gradient arrives with the second step
        optimizer.zero_grad()
        output = model(torch.rand(2, 3, 64, 64))
        supervised_loss(lambda logits, mask: F.softplus(-logits).mean(), output, torch.empty(0)).backward()
        optimizer.step()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]
    assert dead == []


def test_zero_init_lets_features_pass_at_the_start() -> None:
    model = create_model("gbcnet", "tu-lcnet_050", zero_init=True, **SMALL)
    for block in (m for m in model.modules() if isinstance(m, GBC)):
        x = torch.rand(1, block.gain.weight.numel(), 8, 8)
        assert block(x).equal(x)


@pytest.mark.parametrize("variant", [{}, {"block": "SCConv", "upsample": "dysample"}], ids=str)
def test_a_network_can_draw_a_line_of_one_pixel(variant: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = create_model("gbcnet", "tu-lcnet_050", encoder_depth=3, **SMALL, **variant)
    image = torch.full((2, 3, 32, 32), 0.5)
    target = torch.zeros(2, 1, 32, 32)
    image[..., 13] = -0.5
    target[..., 13] = 1
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(image), target).backward()
        optimizer.step()
    assert ((model(image) > 0) == target.bool()).all()


@pytest.mark.parametrize("widths", [(24, 100, 40, 8), (17, 9, 23, 50)])
def test_any_decoder_width(widths: tuple[int, ...]) -> None:
    model = GBCNet("tu-lcnet_050", encoder_weights=None, decoder_channels=widths, upsample="dysample")
    assert model(torch.rand(2, 3, 40, 40)).shape == (2, 1, 40, 40)


def test_dysample_starts_close_to_bilinear() -> None:
    torch.manual_seed(0)
    model = create_model("gbcnet", "tu-lcnet_050", upsample="dysample", **SMALL).eval()
    plain = create_model("gbcnet", "tu-lcnet_050", **SMALL).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if ".up." not in k})
    assert sum(isinstance(m, DySample) for m in model.modules()) == 4
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        difference = (model(x) - plain(x)).abs().max()
    assert 0 < difference < 0.05 * plain(x).abs().max()


def test_deep_supervision_is_for_training_only() -> None:
    torch.manual_seed(0)
    model = GBCNet("tu-lcnet_050", encoder_weights=None, deep_supervision=True, **SMALL)
    output = model(torch.rand(2, 3, 40, 56))
    assert [tuple(logits.shape) for logits in output] == [(2, 1, 40, 56)] * 5
    plain = GBCNet("tu-lcnet_050", encoder_weights=None, **SMALL)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("auxiliary_heads")})
    x = torch.rand(1, 3, 40, 56)
    with torch.inference_mode():
        assert model.eval()(x).equal(plain.eval()(x))


def test_supervised_loss_halves_by_level_and_leaves_one_output_alone() -> None:
    def loss(logits: Tensor, mask: Tensor) -> Tensor:
        return (logits * mask).sum()

    maps = tuple(torch.tensor([value]) for value in (7.0, 14.0, 28.0))
    assert supervised_loss(loss, maps, torch.ones(1)) == (4 * 7 + 2 * 14 + 1 * 28) / 7
    assert supervised_loss(loss, maps[0], torch.ones(1)) == 7


@pytest.mark.parametrize("name", ["Conv", *sorted(BLOCKS)])
def test_every_block_of_the_catalogue_stands_in_the_decoder(name: str) -> None:
    torch.manual_seed(0)
    block = decoder_block(name, 64, {})
    x = torch.rand(2, 64, 8, 8, requires_grad=True)
    y = block(x)
    assert y.shape == x.shape
    y.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and x.grad.any()


@pytest.mark.parametrize(("name", "ends"), [("gnConv", "BatchNorm2d ReLU"), ("RepVGGBlock", "ReLU"), ("HSBlock", "")])
def test_what_follows_a_block_is_its_tail(name: str, ends: str) -> None:
    block = decoder_block(name, 16, {})
    assert (
        " ".join(type(m).__name__ for m in list(block.children())[1:]) == ends if ends else type(block).__name__ == name
    )
    assert isinstance(decoder_block("GBC", 16, {"gate": "sigmoid"}), GBC)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": "gnconv"}, "unknown decoder block 'gnconv'; did you mean gnConv"),
        ({"block": "gnConv", "decoder_channels": (24, 24, 24, 24)}, "gnConv refuses width 24: .*Set decoder_channels"),
        ({"block": "gnConv", "block_options": {"odor": 2}}, "gnConv refuses width 32 and {'odor': 2}"),
        ({"block": "gnConv", "gate": "sigmoid"}, "gate and zero_init belong to block GBC, but block is 'gnConv'"),
        ({"block_options": {"gate": "sigmoid"}}, "give gate as arguments of their own"),
        ({"decoder_channels": (4, 4, 4, 4)}, "GBC refuses width 4 .*use c >= 8"),
    ],
)
def test_wrong_blocks_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SegplugError, match=message):
        GBCNet("tu-lcnet_050", encoder_weights=None, **{**SMALL, **options})


@pytest.mark.parametrize("variant", [*VARIANTS, {"gate": "sigmoid", "zero_init": True, "encoder_depth": 4}], ids=str)
def test_pretrained_round_trip_without_network(
    variant: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the network had been built from downloaded weights: reloading must not ask for them again.
    monkeypatch.setattr("segplug.models.gbcnet.get_encoder", lambda *a, **k: get_encoder(*a, **{**k, "weights": None}))
    model = GBCNet("tu-lcnet_050", encoder_weights="imagenet", **SMALL, **variant).eval()
    model.save_pretrained(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("asked for the network"))
    again = GBCNet.from_pretrained(tmp_path).eval()
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["encoder_weights"] is None and {k: saved[k] for k in variant} == variant
    x = torch.rand(1, 3, 40, 40)
    with torch.inference_mode():
        assert again(x).equal(model(x))
