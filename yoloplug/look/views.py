"""What the blocks of a network let a reader see of one forward pass, as maps, bars and sampling positions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.watch import watching
from yoloplug.look.sampling import DEFORMABLE, Sampling, sampling


@dataclass
class View:
    """What one block computed for one image. name: the module's, with the number of the call where it ran again.

    maps: name -> (C, H, W); bars: name -> (C,); sampling: of a deformable block, else None.
    """

    name: str
    block: str
    maps: dict[str, Tensor] = field(default_factory=dict)
    bars: dict[str, Tensor] = field(default_factory=dict)
    sampling: Sampling | None = None

    @property
    def kinds(self) -> list[str]:
        """Some of gate, offset: the values of `--what` that show something of it."""
        return ["gate"] * bool(self.maps or self.bars) + ["offset"] * (self.sampling is not None)


def views_of(network: nn.Module, run: Callable[[], Any]) -> list[View]:
    """The views of every watched block in `network` while `run()` passes one image through it, in their order."""
    names = {module: name for name, module in network.named_modules()}
    calls: Counter[nn.Module] = Counter()
    inputs: dict[nn.Module, Tensor] = {}
    found: dict[tuple[nn.Module, int], dict[str, list[Tensor]]] = {}

    def called(module: nn.Module, args: tuple[Any, ...]) -> None:
        calls[module] += 1
        if isinstance(module, DEFORMABLE):
            inputs[module] = args[0]

    def keep(module: nn.Module, name: str, value: Tensor | tuple[Tensor, ...]) -> None:
        many = value if isinstance(value, tuple) else (value,)
        found.setdefault((module, calls[module]), {})[name] = [part.detach().float().cpu() for part in many]

    hooks = [module.register_forward_pre_hook(called) for module in names]
    try:
        with watching(keep), torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    views = []
    for (module, call), values in found.items():
        view = View(names[module] + (f" (call {call})" if calls[module] > 1 else ""), type(module).__name__)
        if isinstance(module, DEFORMABLE):
            height, width = inputs[module].shape[-2:]
            view.sampling = sampling(module, values["offset"][0], values.get("modulation", [None])[0], (height, width))
        else:
            for name, parts in values.items():
                _sort(view, name, parts)
        views.append(view)
    return views


def _sort(view: View, name: str, parts: list[Tensor]) -> None:
    """Values with an extent become maps, the others bars."""
    for number, part in enumerate(parts, 1):
        label = f"{name} {number}" if len(parts) > 1 else name
        value = part[0]
        if value.dim() == 3 and value.shape[1] * value.shape[2] > 1:
            view.maps[label] = value
        elif value.dim() == 2:  # CRU: (branches, channels)
            view.bars |= {f"{label} {row}": values for row, values in enumerate(value, 1)}
        else:
            view.bars[label] = value.flatten()
