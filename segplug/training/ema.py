"""EMA, the exponential moving average of a network's weights.

Paper: Polyak and Juditsky 1992, https://doi.org/10.1137/0330046, with the rising decay of TensorFlow's
ExponentialMovingAverage, so that a short run is not held back by its random start.
"""

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def ema_of(model: nn.Module, decay: float) -> AveragedModel:
    """A frozen copy of `model`; each `update_parameters(model)` moves weights and buffers towards the model's.

    The decay of update n (from 0) is min(decay, (1 + n) / (10 + n)).
    """

    def average(averaged: Tensor, current: Tensor, updates: Tensor | int) -> Tensor:
        now = min(decay, (1 + float(updates)) / (10 + float(updates)))
        return now * averaged + (1 - now) * current

    return AveragedModel(model, avg_fn=average, use_buffers=True).requires_grad_(False)
