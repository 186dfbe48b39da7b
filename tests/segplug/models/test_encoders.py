"""HorNet is the published network, as an smp encoder; weights come from files."""

import re
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file

from segplug.errors import SegplugError
from segplug.models.create import create_model
from segplug.models.encoders import HorNetEncoder, load_encoder_weights
from segplug.models.encoders.hornet import hornet_encoders

# Millions of parameters in the authors' table, classifier included.
PUBLISHED = [("tiny", 64, 22, 23), ("small", 96, 50, 50), ("base", 128, 87, 88)]
BLOCK = r"(norm1|norm2|pwconv1|pwconv2|gnconv\.(proj_in|proj_out|dwconv|pws\.[0-3]))\.(weight|bias)|gamma1|gamma2"
FILTER = r"gnconv\.dwconv\.(complex_weight|dw\.weight|(pre_norm|post_norm)\.(weight|bias))"
KEYS = re.compile(rf"downsample_layers\.[0-3]\.[01]\.(weight|bias)|stages\.[0-3]\.\d+\.({BLOCK}|{FILTER})")


def tiny(**changes: object) -> HorNetEncoder:
    """A HorNet narrow enough to run in a test."""
    torch.manual_seed(0)
    return HorNetEncoder(**{"out_channels": [3, 0, 16, 32, 64, 128], "width": 16, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "width", "plain_m", "global_m"), PUBLISHED)
def test_parameters_and_keys_are_the_published_ones(size: str, width: int, plain_m: int, global_m: int) -> None:
    for name, millions in ((f"hornet_{size}", plain_m), (f"hornet_{size}_gf", global_m)):
        with torch.device("meta"):
            encoder = smp.encoders.get_encoder(name)
        classifier = 8 * width * 1000 + 1000 + 2 * 8 * width
        assert round((sum(p.numel() for p in encoder.parameters()) + classifier) / 1e6) == millions
        assert encoder.out_channels == [3, 0, width, 2 * width, 4 * width, 8 * width]
        assert [len(stage) for stage in encoder.stages] == [2, 3, 18, 2]
        assert [len(stage[0].gnconv.pws) + 1 for stage in encoder.stages] == [2, 3, 4, 5]
        keys = [re.sub(r"(gamma[12])\.weight$", r"\1", key) for key in encoder.state_dict()]
        assert [key for key in keys if not KEYS.fullmatch(key)] == []
        assert ("stages.2.17.gnconv.dwconv.complex_weight" in keys) == (name[-3:] == "_gf")


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_maps_have_the_strides_and_widths_that_are_promised(depth: int) -> None:
    encoder = tiny(depth=depth, global_filter=True)
    maps = encoder(torch.rand(2, 3, 64, 96))
    assert [m.shape[1] for m in maps] == encoder.out_channels and encoder.output_stride == 2**depth
    assert [m.shape[2:] for m in maps] == [(64 // 2**i, 96 // 2**i) for i in range(depth + 1)]
    sum(m.sum() for m in maps).backward()
    assert all(p.grad is not None for p in encoder.parameters()), "an unused part breaks training on several GPUs"


def test_hornet_takes_other_inputs_and_drops_paths_in_training() -> None:
    encoder = tiny(drop_path=0.5)
    encoder.set_in_channels(1, pretrained=False)
    x = torch.rand(4, 1, 32, 32)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(std=0.2)
        assert not encoder(x)[-1].equal(encoder(x)[-1])
        encoder.eval()
        assert encoder(x)[-1].equal(encoder(x)[-1])


def test_published_file_loads_without_its_classifier(tmp_path: Path) -> None:
    source = tiny()
    head = {"norm.weight": torch.ones(128), "norm.bias": torch.ones(128), "head.weight": torch.ones(10, 128)}
    file = tmp_path / "hornet.pth"
    published = {re.sub(r"(gamma[12])\.weight$", r"\1", key): value for key, value in source.state_dict().items()}
    torch.save({"model": {**published, **head}, "epoch": 300}, file)
    target = tiny(depth=4)  # without the last stage
    torch.nn.init.zeros_(target.stages[0][0].gamma1.weight)
    load_encoder_weights(target, file)
    assert all(value.equal(source.state_dict()[name]) for name, value in target.state_dict().items())


def test_a_checkpoint_from_before_the_gammas_were_layers_loads() -> None:
    source, target = tiny(), tiny()
    old = {re.sub(r"(gamma[12])\.weight$", r"\1", key): value + 1 for key, value in source.state_dict().items()}
    target.load_state_dict(old)
    assert all(value.equal(source.state_dict()[name] + 1) for name, value in target.state_dict().items())


@pytest.mark.parametrize("encoder", ["lcnet_050", "edgenext_xx_small"])
def test_timm_file_fills_a_tu_encoder_by_option(encoder: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = timm.create_model(encoder, num_classes=7)
    save_file(published.state_dict(), tmp_path / "weights.safetensors")
    model = create_model("unet", f"tu-{encoder}", str(tmp_path / "weights.safetensors")).eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = published.eval().forward_intermediates(x, intermediates_only=True)[-1]
        torch.testing.assert_close(model.encoder(x)[-1].shape, expected.shape)
        torch.testing.assert_close(model.encoder(x)[-1], expected)


def test_hornet_tiny_is_a_registered_name() -> None:
    assert set(hornet_encoders) <= set(smp.encoders.encoders)
    assert set(hornet_encoders) == {f"hornet_{size}{gf}" for size in ("tiny", "small", "base") for gf in ("", "_gf")}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"conv.weight": torch.ones(1)}, "it lacks .* tensors, for example downsample_layers.0.0.weight"),
        ([1, 2], "holds no table of named tensors"),
        (None, "not a readable weights file"),
    ],
)
def test_other_files_are_refused(contents: object, message: str, tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    if contents is None:
        file.write_bytes(b"no archive")
    else:
        torch.save(contents, file)
    with pytest.raises(SegplugError, match=message):
        load_encoder_weights(tiny(), file)


def test_weights_of_another_width_and_of_grey_images_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "wide.pth"
    torch.save(tiny(width=32).state_dict(), file)
    with pytest.raises(SegplugError, match=r"not this encoder's weights: .*size mismatch"):
        load_encoder_weights(tiny(), file)
    with pytest.raises(SegplugError, match="holds an encoder of RGB images, but in_channels is 1"):
        create_model("unet", "tu-lcnet_050", str(file), in_channels=1)
