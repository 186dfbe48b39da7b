"""What a block costs beside a plain 3x3 Conv-BatchNorm-SiLU of the same shape, in the seat where YOLO puts it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from yoloplug.bridge.model import fused, plain_conv
from yoloplug.cost.flops import count_parameters
from yoloplug.cost.timing import LatencyMs, TimingProtocol, interleaved_ms, training_step
from yoloplug.hosts import ConvLike, host


@dataclass(frozen=True)
class Seat:
    """A block with what the host puts around it, an input such as it gets, and how often a model has this pair."""

    module: ConvLike
    input: Any
    uses: int = 1


@dataclass(frozen=True)
class BlockCost:
    """Times of a block's row and of the plain Conv: forward fused; forward and backward in training mode."""

    name: str
    shape: str
    uses: int
    params: int
    conv_params: int
    forward: LatencyMs
    conv_forward: LatencyMs
    step: LatencyMs
    conv_step: LatencyMs

    @property
    def forward_ratio(self) -> float:
        return self.forward.median / self.conv_forward.median

    @property
    def step_ratio(self) -> float:
        return self.step.median / self.conv_step.median


def lone_seat(name: str, c: int = 64, size: int = 80, batch: int = 1) -> Seat:
    """The block with default options as a row that keeps width and size: (batch, c, size, size)."""
    row = host(name)(c, c, 3, 1)
    assert isinstance(row, ConvLike)
    return Seat(row, torch.rand(batch, c, size, size))


def blocks_in(model: nn.Module, images: Tensor) -> list[Seat]:
    """The distinct block rows of a model, by block, parameters and input shape, in the order of their first use."""
    seats: dict[tuple[Any, ...], Seat] = {}

    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(module, ConvLike)
        key = (module.block_name, count_parameters(module), _shapes(args[0]))
        uses = seats[key].uses + 1 if key in seats else 1
        seats[key] = Seat(module, _like(args[0]), uses)

    hooks = [m.register_forward_pre_hook(note) for m in model.modules() if isinstance(m, ConvLike)]
    was = model.training
    try:
        with torch.inference_mode():
            model.eval()(images)
    finally:
        model.train(was)
        for hook in hooks:
            hook.remove()
    return list(seats.values())


def block_costs(seats: Iterable[Seat], protocol: TimingProtocol) -> list[BlockCost]:
    return [_block_cost(seat, protocol) for seat in seats]


def _block_cost(seat: Seat, protocol: TimingProtocol) -> BlockCost:
    block = copy.deepcopy(seat.module).cpu()
    with torch.inference_mode():
        c2, h, w = block.eval()(_on("cpu", seat.input)).shape[1:]
    x = seat.input if isinstance(seat.input, Tensor) else seat.input[0]
    plain = _plain_conv(x, c2, h)
    pair = {"block": block.to(protocol.device), "conv": plain.to(protocol.device)}
    given = {"block": _on(protocol.device, seat.input), "conv": _on(protocol.device, x)}
    with torch.inference_mode():
        forward = interleaved_ms(
            {key: partial(fused(module), given[key]) for key, module in pair.items()},
            protocol.runs,
            protocol.warmup,
            protocol.device,
        )
    for value in given.values():
        for leaf in [value] if isinstance(value, Tensor) else value:
            leaf.requires_grad_(True)
    step = interleaved_ms(
        {key: training_step(module, given[key]) for key, module in pair.items()}, protocol.steps, 1, protocol.device
    )
    given_shape, made = _shapes(seat.input), f"{c2}x{h}x{w}"
    return BlockCost(
        seat.module.block_name,
        given_shape if given_shape == made else f"{given_shape} -> {made}",
        seat.uses,
        count_parameters(block),
        count_parameters(plain),
        forward["block"],
        forward["conv"],
        step["block"],
        step["conv"],
    )


def _plain_conv(x: Tensor, c2: int, h: int) -> nn.Module:
    """Conv 3x3 to the same shape; a block that enlarges the map is compared with nearest upsampling and Conv."""
    c1, rows = x.shape[1:3]
    if h > rows:
        return nn.Sequential(nn.Upsample(scale_factor=h // rows), plain_conv(c1, c2, 3))
    return plain_conv(c1, c2, 3, round(rows / h))


def _shapes(x: Any) -> str:
    """C x H x W, joined by + where a row has two inputs."""
    return "x".join(map(str, x.shape[1:])) if isinstance(x, Tensor) else "+".join(map(_shapes, x))


def _like(x: Any) -> Any:
    return torch.rand(x.shape) if isinstance(x, Tensor) else [_like(value) for value in x]


def _on(device: str, x: Any) -> Any:
    return x.to(device, copy=True) if isinstance(x, Tensor) else [_on(device, value) for value in x]
