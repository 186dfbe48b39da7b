"""Encoders of fewer scales: stages that nothing reads are gone, features stay, older checkpoints load."""

import pytest
import torch

from segplug.inference.checkpoint import load_model
from segplug.models.create import create_model
from segplug.models.encoders.depth import without_cut_stages
from segplug.training.config import TrainConfig
from segplug.training.run import train

NARROW = {"decoder_channels": [16, 16, 16, 16], "detail_channels": 8}


@pytest.mark.parametrize("encoder", ["tu-tf_efficientnet_lite0", "tu-mobilenetv3_small_050", "tu-resnet18", "resnet18"])
def test_every_parameter_of_a_short_encoder_is_used_where_timm_lists_stages(encoder):
    model = create_model("gbcnet", encoder, encoder_depth=4, **NARROW)
    model(torch.rand(2, 3, 64, 64)).sum().backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None]
    assert not unused or "resnet" in encoder


def test_features_are_those_of_the_whole_encoder():
    whole = create_model("unet", "tu-tf_efficientnet_lite0").encoder.eval()
    short = create_model("gbcnet", "tu-tf_efficientnet_lite0", encoder_depth=4, **NARROW)
    short.encoder.load_state_dict({k: v for k, v in whole.state_dict().items() if k in short.encoder.state_dict()})
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for a, b in zip(short.encoder.eval()(x), whole(x), strict=False):
            assert torch.equal(a, b)


def test_a_checkpoint_that_still_holds_the_stages_loads(cracks, tmp_path):
    config = TrainConfig(
        data=str(cracks), encoder="tu-lcnet_050", epochs=1, batch=2, crop=32, out=str(tmp_path / "run"),
        options={"encoder_depth": 3, **NARROW},
    )  # fmt: skip
    checkpoint = train(config) / "last.ckpt"
    contents = torch.load(checkpoint, weights_only=True)
    state = contents["state_dict"]
    stages = {name.split(".blocks.")[1].split(".")[0] for name in state if ".blocks." in name and "encoder" in name}
    state[f"model.encoder.model.blocks.{len(stages)}.0.conv.weight"] = torch.rand(2)
    del contents["segplug"]["sha256"]  # as files of that time, which knew no checksum
    torch.save(contents, checkpoint)
    model, _ = load_model(checkpoint)
    assert without_cut_stages(model, model.state_dict()).keys() == model.state_dict().keys()
