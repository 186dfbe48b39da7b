"""One training step and one forward pass of a cell's model on made-up images, for timing it before it is trained."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from experiments.cells.cell import Cell
from experiments.metrics.cost import torch_device

__all__ = ["Steps", "steps_of"]


class Steps(NamedTuple):
    """`train`: one step at the budget's batch and size. `forward`: one evaluation image. And how often.

    Reading and augmenting images, NMS and metrics are not in it.
    """

    train: Callable[[], object]
    forward: Callable[[], object]
    steps_per_epoch: int
    val_images: int
    final_images: int


def steps_of(cell: Cell) -> Steps:
    """Built in memory; nothing is written."""
    torch.set_num_threads(cell.spec.budget.threads)
    if cell.spec.task == "detect":
        return _detect(cell)
    return _semantic(cell) if cell.model.is_yolo else _segment(cell)


def _detect(cell: Cell) -> Steps:
    from experiments.trainers.yolo.capacity_control import scaled
    from experiments.trainers.yolo.detection_data import data_of
    from yoloplug.bridge.model import built
    from yoloplug.bridge.training import quiet
    from yoloplug.modelfile.file import parse, read

    data, budget = data_of(cell), cell.spec.budget
    file = read(cell.model.model)
    if cell.model.matched_to:
        text = scaled(cell.model, len(data.names), budget.imgsz).text
        file = parse(text, file.name, file.model["scale"])
    device = torch.device(torch_device(budget.device))
    with quiet():
        model = built(file.model, "detect", len(data.names), cell.spec.train)
    _place(model, device)
    images = torch.rand(budget.batch, 3, budget.imgsz, budget.imgsz, device=device)
    count = 4 * budget.batch  # four objects an image
    batch = {
        "img": images,
        "cls": torch.zeros(count, 1, device=device),
        "bboxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]], device=device).repeat(count, 1),
        "batch_idx": torch.arange(budget.batch, device=device).repeat_interleave(4).float(),
    }
    val = len(data.val)
    return Steps(
        _step(model, lambda: model(batch)[0].sum()),
        _pass(model, images[:1]),
        ceil(len(data.train) / budget.batch),
        val,
        val + _latency_passes(cell),
    )


def _segment(cell: Cell) -> Steps:
    from PIL import Image

    from experiments.trainers.crack.segment import train_config
    from segplug.data.readers import open_data
    from segplug.data.split import train_val_samples
    from segplug.inference.probability import normalise
    from segplug.losses import LossSum
    from segplug.losses.deep_supervision import supervised_loss
    from segplug.models.create import create_model
    from segplug.models.preprocessing import preprocessing_of

    budget, config = cell.spec.budget, train_config(cell)
    device = torch.device(torch_device(budget.device))
    model = create_model(config.model, config.encoder, None, **config.options)
    _place(model, device)
    loss = LossSum(config.loss)
    crops = torch.randint(0, 256, (budget.batch, 3, budget.imgsz, budget.imgsz), dtype=torch.uint8, device=device)
    masks = torch.randint(0, 2, (budget.batch, 1, budget.imgsz, budget.imgsz), dtype=torch.uint8, device=device)
    test = open_data(cell.data).samples("test")
    with Image.open(Path(test[0].image)) as first:
        width, height = (ceil(side / 32) * 32 for side in first.size)
    image = torch.rand(1, 3, height, width, device=device)
    train, val = train_val_samples(config, config.val_split, config.seed)
    passes = _latency_passes(cell) * budget.imgsz**2 / (width * height)
    return Steps(
        _step(model, lambda: supervised_loss(loss, model(normalise(crops, preprocessing_of(model))), masks)),
        _pass(model, image),
        ceil(len(train) / budget.batch),
        len(val),
        len(test) + round(passes),
    )


def _semantic(cell: Cell) -> Steps:
    from experiments.trainers.crack.segment import train_config
    from experiments.trainers.yolo.semantic import input_px
    from segplug.data.readers import open_data
    from segplug.data.split import train_val_samples
    from yoloplug.bridge.model import built
    from yoloplug.bridge.training import quiet
    from yoloplug.modelfile.file import read

    budget, config, side = cell.spec.budget, train_config(cell), input_px(cell)
    device = torch.device(torch_device(budget.device))
    with quiet():
        model = built(read(cell.model.model).model, "semantic", classes=1)
    _place(model, device)
    images = torch.rand(budget.batch, 3, side, side, device=device)
    masks = torch.randint(0, 2, (budget.batch, side, side), dtype=torch.int32, device=device)
    train, val = train_val_samples(config, config.val_split, config.seed)
    passes = _latency_passes(cell) * budget.imgsz**2 / side**2
    return Steps(
        _step(model, lambda: model({"img": images, "semantic_mask": masks})[0].sum()),
        _pass(model, images[:1]),
        ceil(len(train) / budget.batch),
        len(val),
        len(open_data(cell.data).samples("test")) + round(passes),
    )


def _latency_passes(cell: Cell) -> int:
    return cell.spec.protocol.latency_runs + cell.spec.protocol.latency_warmup


def _place(model: nn.Module, device: torch.device) -> None:
    """In the memory format in which it is trained."""
    model.to(device=device)
    model.to(memory_format=torch.channels_last)


def _step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)

    def step() -> None:
        model.train()
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()

    return step


def _pass(model: nn.Module, image: Tensor) -> Callable[[], None]:
    def forward() -> None:
        model.eval()
        with torch.no_grad():
            model(image)

    return forward
