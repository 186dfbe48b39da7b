"""LayerCAM: which places of a layer speak for a prediction.

Paper: Jiang et al. 2021, "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP 30,
https://doi.org/10.1109/TIP.2021.3089943, equations 4 to 6.
The heat map that recent releases of Ultralytics draw (`predict(visualize=True)`) is `heat_map` of the head's inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def layer_cam(score: Tensor, activations: Sequence[Tensor]) -> list[Tensor]:
    """max(0, Σ_c max(0, ∂score/∂A_c) A_c) of each activation A (1, C, H, W), as (H, W), in the score's units.

    score: a number with a graph that is kept. Raises ValueError where an activation does not reach the score.
    """
    gradients = torch.autograd.grad(score, list(activations), retain_graph=True, allow_unused=True)
    maps = []
    for activation, gradient in zip(activations, gradients, strict=True):
        if gradient is None:
            raise ValueError("no gradient leads from the score to this layer")
        maps.append((gradient.clamp(min=0) * activation.detach()).sum(1)[0].clamp(min=0))
    return maps


def heat_map(scores: Sequence[Tensor], activations: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """One map of `size` (H, W) for all scores and activations together, from 0 to 1.

    The map of each score in each activation is divided by its own maximum before the largest is taken at every pixel:
    otherwise confident predictions and fine layers would hide the others.
    """
    whole = activations[0].new_zeros(size, dtype=torch.float32)
    for score in scores:
        for cam in layer_cam(score, activations):
            cam = F.interpolate(cam.float()[None, None], size, mode="bilinear", align_corners=False)[0, 0]
            whole = torch.maximum(whole, cam / cam.max().clamp(min=1e-30))
    return whole


@contextmanager
def outputs_of(modules: Sequence[nn.Module]) -> Iterator[dict[nn.Module, list[Tensor]]]:
    """The feature maps (N, C, H, W) that each module returns in forward passes inside, with their graph.

    What follows gets copies, so that operations in place leave the kept maps as they were.
    """
    kept: dict[nn.Module, list[Tensor]] = {module: [] for module in modules}

    def keep(module: nn.Module, _: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            if output.dim() != 4:
                return output
            kept[module].append(output)
            return output.clone()
        if isinstance(output, list | tuple):
            return type(output)([keep(module, _, part) for part in output])
        return output

    handles = [module.register_forward_hook(keep) for module in modules]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
