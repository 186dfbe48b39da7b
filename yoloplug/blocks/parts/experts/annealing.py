"""Temperature annealing: attention over kernels starts almost uniform and sharpens during the first epochs.

Paper: Chen et al. 2020 (dynamic convolution), https://arxiv.org/abs/1912.03458, section 3.3: 30 -> 1, linearly, over
the first 10 epochs. Under stock `yolo train` and `YOLO(...).train(...)` it happens by itself
(`yoloplug.bridge.patches.annealing`). A training loop of your own calls the hook at the start of every epoch:

    for epoch in range(epochs):
        anneal_temperature(model, epoch)
"""

from __future__ import annotations

from math import inf
from typing import Any

import torch
from torch import Tensor, nn


class Annealed(nn.Module):
    """Holds `temperature`, by which the subclass divides its logits: a buffer, so checkpoints infer as they trained.

    A state_dict without it (reference implementations keep a Python attribute) leaves the constructor's value.
    """

    temperature: Tensor

    def __init__(self, temperature: float) -> None:
        super().__init__()
        if not 0 < temperature < inf:
            raise ValueError(f"temperature must be above 0 and finite, got {temperature}")
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.setdefault(prefix + "temperature", self.temperature)
        super()._load_from_state_dict(state_dict, prefix, *args)


@torch.no_grad()
def anneal_temperature(model: nn.Module, epoch: int, epochs: int = 10, start: float = 30.0) -> float:
    """Lower every temperature in `model` to the line that falls from `start` at epoch 0 to 1 at epoch `epochs`.

    Never raises a temperature: a block that starts lower, or that a checkpoint brought already annealed, keeps its own
    until the line has passed it. Returns the highest temperature now, 0 for a model without any. An averaged copy of
    the model (EMA) needs the same call. Raises ValueError unless epoch >= 0, epochs >= 1 and start >= 1.
    """
    if epoch < 0 or epochs < 1 or start < 1:
        raise ValueError(f"epoch >= 0, epochs >= 1 and start >= 1, got epoch={epoch}, epochs={epochs}, start={start}")
    limit = 1 + (start - 1) * max(0.0, 1 - epoch / epochs)
    found = [module for module in model.modules() if isinstance(module, Annealed)]
    for module in found:
        module.temperature.clamp_(max=limit)
    return max((float(module.temperature) for module in found), default=0.0)
