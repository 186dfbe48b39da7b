"""Parameters, FLOPs and fused latency of one trained model, with the protocol they were measured by."""

from typing import Any

import torch
from torch import nn

from yoloplug.cost.flops import count_flops, count_parameters
from yoloplug.cost.timing import latency_ms


def cost(
    model: nn.Module, fused: nn.Module, imgsz: int, device_name: str, latency_runs: int, latency_warmup: int
) -> dict[str, Any]:
    """`model` as trained gives parameters and FLOPs; `fused` is timed. float32, batch 1. imgsz: px of a square."""
    device = torch.device(torch_device(device_name))
    torch.manual_seed(0)
    image = torch.rand(1, 3, imgsz, imgsz, device=device)
    flops = count_flops(model.to(device).float(), image)
    latency = latency_ms(fused.to(device).float(), image, latency_runs, latency_warmup)
    return {
        "params": count_parameters(model),
        "flops": flops.flops,
        "flops_uncounted": flops.uncounted,
        "latency_ms": latency.median,
        "latency_p10_ms": latency.p10,
        "latency_p90_ms": latency.p90,
        "latency_protocol": {
            "batch": 1,
            "imgsz_px": imgsz,
            "dtype": "float32",
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "threads": torch.get_num_threads(),
            "warmup": latency_warmup,
            "runs": latency_runs,
            "statistic": "median",
            "covers": "forward pass of the fused model; no image reading, no non-maximum suppression",
        },
    }


def torch_device(device: str) -> str:
    """Ultralytics' `0` is torch's `cuda:0`."""
    return f"cuda:{device}" if device.isdigit() else device
