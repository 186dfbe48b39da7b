"""Fair times: the things compared take turns, so that a busy moment of the machine hits all of them.

A training step here is forward, the mean square of every output as loss, backward and an SGD update with momentum. It
leaves out what is the same for every model with the same head: label assignment and the detection loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from yoloplug.cost.flops import eval_mode
from yoloplug.cost.machine import cpu_name
from yoloplug.errors import YoloplugError
from yoloplug.limits import THREADS, check_imgsz


class LatencyMs(NamedTuple):
    """Milliseconds for one pass: the median, and the 10th and 90th percentile over the runs."""

    median: float
    p10: float
    p90: float

    @classmethod
    def of(cls, seconds: list[float]) -> LatencyMs:
        ms = torch.tensor(seconds, dtype=torch.float64) * 1e3
        return cls(*(float(ms.quantile(share)) for share in (0.5, 0.1, 0.9)))


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
        return f"{cpu_name()}, {_count(torch.get_num_threads(), 'thread')}, torch {torch.__version__}"

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


def latency_ms(model: nn.Module, input: Tensor, runs: int = 50, warmup: int = 10) -> LatencyMs:
    """Time forward passes in eval mode without gradients; fuse the model first if the fused time is wanted.

    Threads, dtype and device are the caller's: torch.get_num_threads(), `input`.
    """
    if runs < 1 or warmup < 0:
        raise ValueError(f"runs must be at least 1 and warmup at least 0, got runs={runs}, warmup={warmup}")
    with eval_mode(model), torch.inference_mode():
        return interleaved_ms({"model": partial(model, input)}, runs, warmup, str(input.device))["model"]


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


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}" + plural * (number != 1)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
