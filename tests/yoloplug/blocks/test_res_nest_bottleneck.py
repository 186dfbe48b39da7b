"""ResNeStBottleneck equals ResNeSt's recorded unit."""

from __future__ import annotations

import io

import onnxruntime
import pytest
import torch

from yoloplug.blocks import ResNeStBottleneck


def test_equals_reference(golden):
    golden("resnest_bottleneck_s2").check(ResNeStBottleneck(16, 16, s=2, bottleneck_width=128))


def test_a_stages_first_unit_averages_at_stride_one_too():
    plain, first = (ResNeStBottleneck(16, 16, first=first).eval() for first in (False, True))
    first.load_state_dict(plain.state_dict())
    x = torch.randn(1, 16, 5, 6)
    smooth = torch.nn.functional.avg_pool2d(plain.conv2(plain.bn1(plain.conv1(x)).relu()), 3, 1, 1)
    torch.testing.assert_close(first(x), (plain.bn3(plain.conv3(smooth)) + x).relu())
    assert not torch.allclose(first(x), plain(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_of_the_averaging_shortcut_at_odd_sizes():
    module, file = ResNeStBottleneck(8, 16, s=2).eval(), io.BytesIO()
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    torch.onnx.export(
        module, (torch.randn(1, 8, 8, 8),), file, dynamo=False, opset_version=18, input_names=["x"], dynamic_axes=axes
    )
    session = onnxruntime.InferenceSession(file.getvalue())
    for size in ((9, 13), (12, 7), (1, 2)):
        x = torch.randn(2, 8, *size)
        (y,) = session.run(None, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), module(x).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 16, "c2": 3}, "c2=3 with bottleneck_width=64 leaves no channel; use bottleneck_width >= 86"),
        ({"c1": 16, "c2": 12}, r"radix=2 must divide width=3; use radix from \[1, 3\]"),
        ({"c1": 16, "c2": 16, "groups": 0}, "at least 1, got .*groups=0"),
        ({"c1": 16, "c2": 16, "k": 4}, "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResNeStBottleneck(**arguments)
