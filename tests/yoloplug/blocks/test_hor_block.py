"""HorBlock equals HorNet's recorded tensors; rows of ours take a published HorNet's weights."""

from __future__ import annotations

import io
import re
from itertools import pairwise

import onnxruntime
import pytest
import torch
from torch import nn

from yoloplug.blocks import HorBlock, HorDownsample, HorStem
from yoloplug.cost.flops import count_parameters


@pytest.mark.parametrize(
    ("name", "module"),
    [("hornet_block", HorBlock(16, order=3)), ("hornet_block_nols", HorBlock(16, order=2, layer_scale=0))],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def hornet(width: int, depths: tuple[int, ...]) -> nn.ModuleDict:
    """HorNet's backbone under its published names: downsample_layers.i, stages.i.j."""
    widths = [width * 2**i for i in range(4)]
    steps = [HorStem(3, width)] + [HorDownsample(a, b) for a, b in pairwise(widths)]
    stages = [nn.Sequential(*[HorBlock(c, i + 2) for _ in range(depths[i])]) for i, c in enumerate(widths)]
    return nn.ModuleDict({"downsample_layers": nn.ModuleList(steps), "stages": nn.ModuleList(stages)})


def test_hornet_tiny_has_its_published_size_and_names():
    """HorNet-T 7x7 as released: 22.4 M parameters with its head of 1000 classes (and the norm before it)."""
    with torch.device("meta"):
        model = hornet(64, (2, 3, 18, 2))
    head = 2 * 512 + 512 * 1000 + 1000
    assert (count_parameters(model) + head) / 1e6 == pytest.approx(22.4, abs=0.05)
    state = model.state_dict()
    assert state["downsample_layers.0.0.weight"].shape == (64, 3, 4, 4)
    assert state["downsample_layers.0.1.weight"].shape == (64,)
    assert state["downsample_layers.3.0.bias"].shape == (256,)
    assert state["downsample_layers.3.1.weight"].shape == (512, 256, 2, 2)
    assert state["stages.2.17.gnconv.pws.2.weight"].shape == (256, 128, 1, 1)
    assert state["stages.3.1.pwconv1.weight"].shape == (2048, 512)
    assert state["stages.0.1.gamma2.weight"].shape == (64,)  # stages.0.1.gamma2, which convert_reference renames
    block = {"gamma1": torch.ones(8)} | {k: v for k, v in HorBlock(8, 2).state_dict().items() if k != "gamma1.weight"}
    HorBlock(8, 2).load_state_dict(HorBlock.convert_reference(block))


def test_rows_of_the_model_yaml_take_a_hornets_weights():
    """Row 2i is downsample_layers.i, row 2i + 1 is stages.i; below a row, names are the published ones."""
    from ultralytics import YOLO

    rows = YOLO("yolov8n-HorNet.yaml", verbose=False).model.model
    published = hornet(16, (1, 1, 6, 1))
    for parameter in published.parameters():
        nn.init.normal_(parameter)
    loaded = 0
    for name, layer in (*published["downsample_layers"].named_children(), *published["stages"].named_children()):
        stage = isinstance(layer[0], HorBlock)
        row = rows[2 * int(name) + stage]
        ours = {re.sub(r"\bblock\.", "", key): value for key, value in row.state_dict().items()}
        state = layer.state_dict()
        if stage and len(layer) == 1:
            state = {key.removeprefix("0."): value for key, value in state.items()}
        assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in state.items()}
        for key, value in ours.items():
            value.copy_(state[key])
        loaded += len(state)
    assert loaded == len(published.state_dict())
    x = torch.randn(1, 3, 64, 96)
    ours, theirs = x, x
    with torch.no_grad():
        for i in range(4):
            ours = rows[2 * i + 1](rows[2 * i](ours))
            theirs = published["stages"][i](published["downsample_layers"][i](theirs))
            torch.testing.assert_close(ours, theirs)


def test_starts_as_the_identity():
    x = torch.randn(2, 32, 7, 9)
    assert (HorBlock(32)(x) - x).abs().max() < 1e-4


def test_drop_path_skips_samples_in_training_and_keeps_the_mean():
    module = HorBlock(8, order=2, layer_scale=1.0, drop_path=0.5)
    nn.init.zeros_(module.gamma2.weight)
    x = torch.randn(1, 8, 5, 6)
    full = module.eval()(x) - x
    added = module.train()(x.expand(400, -1, -1, -1)) - x
    skipped = added.flatten(1).abs().sum(1) == 0
    assert 0.4 < skipped.float().mean() < 0.6
    torch.testing.assert_close(added[~skipped], 2 * full.expand((~skipped).sum(), -1, -1, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("filter", ["dw7", "global_local"])
def test_onnx_away_from_the_identity(filter):
    """The contract's test sees a fresh block, which passes x through."""
    module, file = HorBlock(16, order=4, filter=filter, layer_scale=1.0).eval(), io.BytesIO()
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    torch.onnx.export(
        module,
        (torch.randn(2, 16, 12, 13),),
        file,
        dynamo=False,
        opset_version=18,
        input_names=["x"],
        dynamic_axes=axes,
    )
    session = onnxruntime.InferenceSession(file.getvalue())
    x = torch.randn(1, 16, 9, 20)
    (y,) = session.run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(y), module(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 24}, r"c=24 is not divisible by 2\*\*\(order-1\)=16; use order <= 4"),
        ({"c": 16, "drop_path": 1.0}, r"drop_path must lie in \[0, 1\), got 1.0"),
        ({"c": 16, "layer_scale": -1.0}, r"layer_scale must be at least 0 .*, got -1.0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        HorBlock(**arguments)
