"""BatchNorm behind a global average pool, where a batch of one image has a single value per channel."""

from torch import Tensor
from torch.nn import functional as F

from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d


class PooledBatchNorm2d(CorrectedBatchNorm2d):
    """CorrectedBatchNorm2d that also trains at batch 1 on 1x1 maps.

    A single value per channel has no variance, so nn.BatchNorm2d raises on it. Here that one step uses the statistics
    for inference and leaves them as they are (older Ultralytics probe strides in training mode with one image).
    Shape: (N, c, H, W) -> same.
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(input, *self.statistics(), self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(input)
