"""What whole models cost: parameters, FLOPs, fused latency, training-step time and peak memory, side by side.

Run as `python -m yoloplug.cost.models FILE IMGSZ BATCH DEVICE THREADS` it prints the peak memory of one training step:
that needs a process of its own, in which nothing larger was there before.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from yoloplug.bridge.model import fused, load
from yoloplug.cost.flops import Flops, count_flops, count_parameters
from yoloplug.cost.machine import PeakMemory
from yoloplug.cost.timing import LatencyMs, TimingProtocol, interleaved_ms, training_step


@dataclass(frozen=True)
class ModelCost:
    """params and flops (batch 1): before fusing. latency: fused. peak_mib: of one training step, NaN if unknown."""

    file: str
    params: int
    flops: Flops
    latency: LatencyMs
    step: LatencyMs
    peak_mib: float


def model_costs(models: dict[str, nn.Module], protocol: TimingProtocol) -> list[ModelCost]:
    """models: file (as Ultralytics takes it) -> its network. They take turns in every round of timing."""
    images = torch.rand(protocol.batch, 3, protocol.imgsz, protocol.imgsz, device=protocol.device)
    flops = {file: count_flops(model, torch.rand(1, *images.shape[1:])) for file, model in models.items()}
    ready = {file: fused(model).to(protocol.device) for file, model in models.items()}
    with torch.inference_mode():
        forward = {file: partial(model, images) for file, model in ready.items()}
        latency = interleaved_ms(forward, protocol.runs, protocol.warmup, protocol.device)
    del ready, forward
    training = {file: copy.deepcopy(model).to(protocol.device) for file, model in models.items()}
    steps = interleaved_ms(
        {file: training_step(model, images) for file, model in training.items()}, protocol.steps, 1, protocol.device
    )
    return [
        ModelCost(
            file, count_parameters(model), flops[file], latency[file], steps[file], _peak_in_child(file, protocol)
        )
        for file, model in models.items()
    ]


def _peak_in_child(file: str, protocol: TimingProtocol) -> float:
    arguments = (file, protocol.imgsz, protocol.batch, protocol.device, torch.get_num_threads())
    run = subprocess.run(
        [sys.executable, "-m", "yoloplug.cost.models", *map(str, arguments)], capture_output=True, text=True
    )
    if run.returncode:
        raise RuntimeError(f"{file}: the process that measures peak memory failed:\n{run.stderr}")
    return float(json.loads(run.stdout.splitlines()[-1]))


def _peak_of_one_step(file: str, imgsz: int, batch: int, device: str) -> float:
    """MiB that building the model and one training step added to what the imports held."""
    images = torch.rand(batch, 3, imgsz, imgsz)
    training_step(nn.Conv2d(3, 3, 1).to(device), images[:, :, :32, :32].to(device))()  # torch's own one-time memory
    memory = PeakMemory(device)
    before = memory.bytes
    training_step(load(file, trust=True).to(device), images.to(device))()
    return float("nan") if before is None or memory.bytes is None else (memory.bytes - before) / 2**20


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[5]))
    print(json.dumps(_peak_of_one_step(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
