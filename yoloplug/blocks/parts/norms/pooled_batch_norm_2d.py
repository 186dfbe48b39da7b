"""BatchNorm behind a global average pool, where a batch of one image has a single value per channel."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PooledBatchNorm2d"]


class PooledBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d that also trains at batch 1 on 1x1 maps; same state, same output wherever the stock layer runs.

    A single value per channel has no variance, so nn.BatchNorm2d raises on it. Here that one step uses the running
    statistics and leaves them as they are (Ultralytics probes strides in training mode with one image).
    Shape: (N, c, H, W) -> same.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(input)
