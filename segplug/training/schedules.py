"""Learning rate over a run: a linear rise, then half a cosine or a polynomial down to a final share of the peak."""

import math
from typing import Literal

Schedule = Literal["cosine", "poly"]


def lr_factor(
    step: int, warmup: int, total: int, schedule: Schedule = "cosine", power: float = 0.9, final: float = 0.01
) -> float:
    """Factor on the peak rate: (step + 1) / (warmup + 1) while step < warmup, 1 at `warmup`, `final` at `total` steps.

    poly falls with (1 - progress)^power: Chen et al. 2018, https://arxiv.org/abs/1606.00915, section 4.1 (power 0.9).
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    left = (1 + math.cos(math.pi * progress)) / 2 if schedule == "cosine" else (1 - progress) ** power
    return final + (1 - final) * left
