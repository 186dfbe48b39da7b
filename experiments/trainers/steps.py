"""One training step and one forward pass of a model on made-up images, for timing it before it is trained."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor, nn

from experiments.cells.cell import Cell
from experiments.metrics.cost import torch_device
from experiments.trainers.trainer import Steps


def placed(cell: Cell, model: nn.Module) -> torch.device:
    """The device of the budget; the model goes there, in the memory format in which it is trained."""
    device = torch.device(torch_device(cell.spec.budget.device))
    model.to(device=device)
    model.to(memory_format=torch.channels_last)
    return device


def timed_steps(
    cell: Cell, model: nn.Module, loss: Callable[[], Tensor], image: Tensor, train: int, val: int, test: int
) -> Steps:
    """loss: of one batch. image: (1, 3, H, W) as evaluated. train, val, test: how many images are used as such."""
    budget, protocol = cell.spec.budget, cell.spec.protocol
    passes = (protocol.latency_runs + protocol.latency_warmup) * budget.imgsz**2 / image[0, 0].numel()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)

    def step() -> None:
        model.train()
        optimiser.zero_grad()
        with torch.autocast(image.device.type, torch.bfloat16, enabled=budget.precision == "bf16"):
            value = loss()
        value.backward()
        optimiser.step()

    def forward() -> None:
        model.eval()
        with torch.no_grad():
            model(image)

    return Steps(step, forward, ceil(train / budget.batch), val, test + round(passes))
