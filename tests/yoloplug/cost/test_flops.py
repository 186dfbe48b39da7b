"""FLOPs against formulas written out by hand, nothing uncounted in silence, latency in milliseconds."""

import math
import subprocess
import sys
import time

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import Tensor, nn

from yoloplug.cost.flops import count_flops, count_parameters
from yoloplug.cost.timing import latency_ms


class Deform(nn.Module):
    """A bare deformable convolution whose offsets (and mask) cost nothing."""

    def __init__(self, masked: bool, c1: int = 4, c2: int = 6, k: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(c2, c1, k, k))
        self.masked, self.k, self.stride = masked, k, stride

    def forward(self, x: Tensor) -> Tensor:
        h, w = (math.ceil(side / self.stride) for side in x.shape[2:])
        offset = torch.zeros(x.shape[0], 2 * self.k**2, h, w)
        mask = torch.zeros(x.shape[0], self.k**2, h, w) if self.masked else None
        return torchvision.ops.deform_conv2d(x, offset, self.weight, stride=self.stride, padding=self.k // 2, mask=mask)


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)  # type: ignore[operator]


def test_parameters_count_shared_values_once() -> None:
    layer = nn.Linear(5, 7)
    assert count_parameters(nn.Sequential(layer, layer)) == 5 * 7 + 7


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution(groups: int, stride: int) -> None:
    conv = nn.Conv2d(8, 12, 3, stride, padding=1, groups=groups)
    result = count_flops(conv, torch.rand(2, 8, 11, 13))
    assert result.flops == 2 * 2 * math.ceil(11 / stride) * math.ceil(13 / stride) * 12 * (8 // groups) * 9
    assert result.uncounted == {}


def test_linear_and_attention() -> None:
    assert count_flops(nn.Linear(5, 7), torch.rand(3, 5)).flops == 2 * 3 * 5 * 7
    attention = nn.MultiheadAttention(16, 2, batch_first=True).eval()
    result = count_flops(Apply(lambda x: attention(x, x, x)[0]), torch.rand(1, 10, 16))
    assert result.flops == 2 * (4 * 10 * 16 * 16 + 2 * 10 * 10 * 16)  # q, k, v, out; scores, weighted sum


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_deformable_convolution(masked: bool, stride: int) -> None:
    result = count_flops(Deform(masked, stride=stride), torch.rand(2, 4, 10, 12))
    positions = 2 * (10 // stride) * (12 // stride)
    convolution, samples = 2 * positions * 6 * 4 * 9, positions * 4 * 9
    assert result.flops == convolution + samples * (8 + masked)
    assert result.uncounted == {}


def test_fourier_transforms() -> None:
    points = 2 * 3 * 8 * 16
    there_and_back = Apply(lambda x: torch.fft.irfft2(torch.fft.rfft2(x)))
    assert count_flops(there_and_back, torch.rand(2, 3, 8, 16)).flops == 2 * 2.5 * points * math.log2(8 * 16)
    complex_one = Apply(lambda x: torch.fft.fft(torch.complex(x, x)).abs())
    result = count_flops(complex_one, torch.rand(2, 3, 8, 16))
    assert result.flops == 5 * points * math.log2(16)
    assert "aten.abs" in result.uncounted


@pytest.mark.parametrize(("mode", "each"), [("bilinear", 8), ("nearest", 0), ("bicubic", 40)])
def test_grid_sample(mode: str, each: int) -> None:
    grid = torch.zeros(1, 5, 6, 2)
    sample = Apply(lambda x: nn.functional.grid_sample(x, grid, mode=mode, align_corners=False))
    assert count_flops(sample, torch.rand(1, 3, 9, 9)).flops == each * 3 * 5 * 6


def test_what_adds_nothing_is_named_with_its_calls() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.SiLU(), nn.MaxPool2d(2), nn.SiLU())
    result = count_flops(model, torch.rand(1, 3, 8, 8))
    assert result.flops == 0
    assert result.uncounted["aten.silu"] == 2
    assert any("batch_norm" in name for name in result.uncounted)
    assert any("max_pool2d" in name for name in result.uncounted)


def test_views_and_copies_are_not_arithmetic() -> None:
    moved = Apply(lambda x: torch.cat([x.flip(-1).reshape(3, -1), x.permute(1, 0, 2).flatten(1)]))
    assert count_flops(moved, torch.rand(4, 3, 8)).uncounted == {}


def test_modes_are_restored() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    model[1].eval()
    count_flops(model, torch.rand(1, 3, 4, 4))
    latency_ms(model, torch.rand(1, 3, 4, 4), runs=1, warmup=0)
    assert model.training and model[0].training and not model[1].training


def test_smp_model_equals_its_convolutions() -> None:
    model, image = smp.create_model("unet", "resnet18", encoder_weights=None), torch.rand(1, 3, 64, 64)
    flops, expected = count_flops(model, image).flops, 0

    def add(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal expected
        assert isinstance(module, nn.Conv2d)
        expected += 2 * output.numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(add)
    model(image)
    assert flops == expected


def test_latency_is_the_median_in_milliseconds() -> None:
    calls = []

    def wait(x: Tensor) -> Tensor:
        calls.append(1)
        time.sleep(0.2 if len(calls) == 3 else 0.01)  # the one slow run must not move the median
        return x

    median, p10, p90 = latency_ms(Apply(wait), torch.zeros(1), runs=6, warmup=2)
    assert len(calls) == 8
    assert p10 <= median <= p90
    assert 9.5 < median < 150


@pytest.mark.parametrize(("runs", "warmup"), [(0, 0), (5, -1)])
def test_latency_refuses_no_runs(runs: int, warmup: int) -> None:
    with pytest.raises(ValueError, match=f"runs={runs}, warmup={warmup}"):
        latency_ms(nn.Identity(), torch.zeros(1), runs, warmup)


def test_profile_needs_no_ultralytics() -> None:
    code = "import sys, yoloplug.cost.flops; assert 'ultralytics' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
