"""Fair times: the things compared take turns, so that a busy moment of the machine hits all of them.

A training step here is forward, the mean square of every output as loss, backward and an SGD update with momentum. It
leaves out what is the same for every model with the same head: label assignment and the detection loss.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from yoloplug.cost.flops import LatencyMs
from yoloplug.errors import YoloplugError
from yoloplug.limits import THREADS, check_imgsz

__all__ = ["TimingProtocol", "interleaved_ms", "peak_mib", "tensors", "training_step"]


@dataclass(frozen=True)
class TimingProtocol:
    """How times are taken. runs: timed forward passes; training steps take a fifth of them. threads: 0 for torch's."""

    imgsz: int = 640
    batch: int = 1
    device: str = "cpu"
    threads: int = 0
    runs: int = 50
    warmup: int = 5

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("threads", 0), ("runs", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise YoloplugError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.threads > THREADS:
            raise YoloplugError(f"threads must be at most {THREADS:,}, got {self.threads:,}")
        check_imgsz(self.imgsz)
        if self.device != "cpu" and not (self.device.startswith("cuda") and torch.cuda.is_available()):
            raise YoloplugError(f"device must be cpu, or cuda where torch has a GPU, got {self.device!r}")

    @property
    def steps(self) -> int:
        """Timed training steps."""
        return max(1, self.runs // 5)

    @property
    def machine(self) -> str:
        if self.device != "cpu":
            return f"{torch.cuda.get_device_name(self.device)}, torch {torch.__version__}"
        return f"{_cpu_name()}, {_count(torch.get_num_threads(), 'thread')}, torch {torch.__version__}"

    def __str__(self) -> str:
        return (
            f"{self.machine}; float32, batch {self.batch}, {self.imgsz} px; median (p10-p90) of "
            f"{_count(self.runs, 'forward pass', 'es')} (fused, inference mode) and "
            f"{_count(self.steps, 'training step')} after {self.warmup} and 1 for warm-up, all compared taking turns; "
            f"step = forward, mean square as loss, backward, SGD; no label assignment, no NMS"
        )


def interleaved_ms(
    passes: Mapping[str, Callable[[], object]], runs: int, warmup: int, device: str = "cpu"
) -> dict[str, LatencyMs]:
    """Times of each pass, one of each per round."""
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for run in range(warmup + runs):
        for name, call in passes.items():
            _wait(device)
            start = time.perf_counter()
            call()
            _wait(device)
            if run >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {name: LatencyMs.of(values) for name, values in seconds.items()}


def training_step(model: nn.Module, *inputs: Any) -> Callable[[], None]:
    """One optimiser step on the model, which is put into training mode with every parameter trainable.

    The learning rate is 0: all the work of a step, and the weights stay as they are however often it runs.
    """
    model.train().requires_grad_(True)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad()
        torch.stack([y.float().square().mean() for y in tensors(model(*inputs))]).sum().backward()
        optimiser.step()

    return step


def tensors(output: Any) -> Iterator[Tensor]:
    """Every differentiable tensor in nested lists, tuples and dicts."""
    if isinstance(output, Tensor):
        if output.requires_grad:
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from tensors(value)


def peak_mib(device: str) -> float:
    """Most memory held so far, MiB: torch's allocations on CUDA, else what this process had resident.

    Linux only on the CPU: elsewhere NaN. (getrusage's maximum is inherited from the process that started this one.)
    """
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}" + plural * (number != 1)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
