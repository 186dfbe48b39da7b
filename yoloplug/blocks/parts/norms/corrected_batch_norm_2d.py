"""BatchNorm whose statistics for inference are right from the first training batch on.

The correction is Adam's: Kingma, Ba 2015, https://arxiv.org/abs/1412.6980, section 3.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CorrectedBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d without its memory of a variance that no batch had.

    nn.BatchNorm2d starts its running variance at 1; where the true one is 1e-6, inference is nearly silent until 1 has
    faded from the average: 450 batches at momentum 0.03. Here the running statistics start at 0, and `settled` is the
    running average of the constant 1: how much of a whole average they are. Both grow alike, also when copies of the
    model are averaged (EMA) or saved on the way, so their ratio is an average of what batches had at every time.
    State as nn.BatchNorm2d and `settled`; a state without it (a stock layer's) is a whole average. Statistics and
    parameters stay float32 where the model becomes half precision, which has no numbers of that size.
    Shape: (N, c, H, W) -> same.
    """

    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor
    settled: Tensor

    def __init__(self, c: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(c, eps, momentum)
        self.register_buffer("settled", torch.zeros(()))
        self.running_var.zero_()

    def reset_running_stats(self) -> None:
        super().reset_running_stats()
        if "settled" in self._buffers:  # the constructor of nn.BatchNorm2d resets before there is one
            self.running_var.zero_()
            self.settled.zero_()

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and variance (c,) for inference, float32 or wider: the batches' so far, 0 and 1 before the first."""
        unseen = (self.settled == 0).to(self.settled)
        share = self.settled + unseen
        return self.running_mean / share, (self.running_var + unseen) / share

    def set_statistics(self, mean: Tensor, var: Tensor) -> None:
        """Take these, (c,) each, for a whole average."""
        with torch.no_grad():
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
            self.settled.fill_(1)

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(input, *self.statistics(), self.weight, self.bias, False, 0.0, self.eps)
        y = super().forward(input)
        share = 1 / self.num_batches_tracked.to(self.settled) if self.momentum is None else self.momentum
        with torch.no_grad():
            self.settled.lerp_(torch.ones_like(self.settled), share)
        return y

    def _apply(self, fn: Any, recurse: bool = True) -> CorrectedBatchNorm2d:
        def widely(tensor: Tensor) -> Tensor:
            moved: Tensor = fn(tensor)
            return tensor.to(moved.device) if moved.dtype in (torch.float16, torch.bfloat16) else moved

        return super()._apply(widely, recurse)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if prefix + "running_var" in state_dict:
            state_dict.setdefault(prefix + "settled", torch.ones_like(self.settled))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._buffers.setdefault("settled", torch.ones(()))  # pickled before there was one


class CorrectedSyncBatchNorm2d(CorrectedBatchNorm2d, nn.SyncBatchNorm):
    """What `nn.SyncBatchNorm.convert_sync_batchnorm` makes of a CorrectedBatchNorm2d: one batch of all processes.

    Where there is one process it is a CorrectedBatchNorm2d. Its state is the same.
    """

    @classmethod
    def of(cls, norm: CorrectedBatchNorm2d, process_group: Any) -> CorrectedSyncBatchNorm2d:
        """With the norm's own parameters and buffers."""
        made = cls(norm.num_features, norm.eps)
        made.momentum, made.process_group = norm.momentum, process_group
        made._parameters, made._buffers = norm._parameters, norm._buffers
        return made.train(norm.training)


_stock: Any = nn.SyncBatchNorm.convert_sync_batchnorm


def _convert(cls: type[nn.SyncBatchNorm], module: nn.Module, process_group: Any = None) -> nn.Module:
    """torch's own names its result's class itself and leaves `settled` out: inference is off for hundreds of batches.

    It calls itself for each child by the class, so that this is all that there is to say. Other norms are its own.
    """
    if isinstance(module, CorrectedBatchNorm2d):
        return CorrectedSyncBatchNorm2d.of(module, process_group)
    converted: nn.Module = _stock.__func__(cls, module, process_group)
    return converted


nn.SyncBatchNorm.convert_sync_batchnorm = classmethod(functools.wraps(_stock)(_convert))  # type: ignore[assignment]
