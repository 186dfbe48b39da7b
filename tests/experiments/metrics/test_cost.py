"""What a row says of a model's cost, and under which conditions."""

import torch
from torch import nn

from experiments.metrics.cost import cost, torch_device


def test_every_figure_and_its_conditions() -> None:
    """3 x 3 convolution of 3 to 4 channels on 32 x 32 pixels; the fused one is timed, the trained one is counted."""
    torch.manual_seed(0)
    trained = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)).double().eval()
    seen: list[tuple[torch.Size, torch.dtype]] = []
    fused = nn.Conv2d(3, 4, 3, padding=1).double()
    fused.register_forward_pre_hook(lambda _, inputs: seen.append((inputs[0].shape, inputs[0].dtype)))
    found = cost(trained, fused, 32, "cpu", latency_runs=50, latency_warmup=3)
    assert found["params"] == 108 + 8 and found["flops"] == 2 * 108 * 32 * 32
    assert list(found["flops_uncounted"].values()) == [1]  # the norm, whatever torch calls it
    assert 0 < found["latency_p10_ms"] <= found["latency_ms"] <= found["latency_p90_ms"] < 1000
    assert found["latency_protocol"] == {
        "batch": 1,
        "imgsz_px": 32,
        "dtype": "float32",
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "warmup": 3,
        "runs": 50,
        "statistic": "median",
        "covers": "forward pass of the fused model; no image reading, no non-maximum suppression",
    }
    assert seen == [(torch.Size([1, 3, 32, 32]), torch.float32)] * 53


def test_devices_by_torchs_names() -> None:
    assert [torch_device(device) for device in ("cpu", "0", "11", "mps")] == ["cpu", "cuda:0", "cuda:11", "mps"]
