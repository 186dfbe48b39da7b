"""GlobalLocalFilter: half of the channels see 3x3 neighbours, the other half the whole map through a learned spectrum.

Paper: Rao et al. 2022 (HorNet), https://arxiv.org/abs/2207.14284, section 3.3;
the learned spectrum is GFNet's, arXiv:2107.00645.
Departs: the transform runs in float64 for float64 input (the reference always uses float32).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one
from yoloplug.blocks.parts.norms.layer_norm_2d import LayerNorm2d


class GlobalLocalFilter(nn.Module):
    """LayerNorm, 3x3 depthwise on one half and a global frequency filter on the other, interleave, LayerNorm.

    Shape: (N, c, H, W) -> same; c even. h, w: size of the learned spectrum, resized to (H, W // 2 + 1) on every call,
    so it belongs to the training size: for maps of side S use h=S, w=S // 2 + 1.
    """

    def __init__(self, c: int, h: int = 14, w: int = 8) -> None:
        super().__init__()
        if c < 2 or c % 2:
            raise ValueError(f"GlobalLocalFilter: c must be even (half local, half global), got c={c}")
        at_least_one("GlobalLocalFilter", h=h, w=w)
        self.dw = nn.Conv2d(c // 2, c // 2, 3, padding=1, groups=c // 2, bias=False)
        self.complex_weight = nn.Parameter(torch.empty(c // 2, h, w, 2))
        nn.init.trunc_normal_(self.complex_weight, std=0.02)
        self.pre_norm = LayerNorm2d(c)
        self.post_norm = LayerNorm2d(c)

    def forward(self, x: Tensor) -> Tensor:
        local, whole = self.pre_norm(x).chunk(2, dim=1)
        local, whole = self.dw(local), self._filter(whole)
        # Output channel 2i is local channel i, 2i+1 is global channel i.
        return self.post_norm(torch.stack([local, whole.to(local.dtype)], dim=2).flatten(1, 2))

    def _filter(self, x: Tensor) -> Tensor:
        """Multiply the spectrum of x by the learned one. Half types are computed in float32."""
        x = x if x.dtype == torch.float64 else x.float()
        h, w = x.shape[-2:]
        planes = self.complex_weight.to(x.dtype).permute(3, 0, 1, 2)
        re, im = F.interpolate(planes, size=(h, w // 2 + 1), mode="bilinear", align_corners=True).unbind(0)
        if torch.onnx.is_in_onnx_export():
            return _filter_by_matrices(x, re, im)
        spectrum = torch.fft.rfft2(x, norm="ortho") * torch.complex(re, im)
        return torch.fft.irfft2(spectrum, s=(h, w), norm="ortho")


def _filter_by_matrices(x: Tensor, re: Tensor, im: Tensor) -> Tensor:
    """The same filter from real matrix products only: ONNX has no portable complex numbers.

    x: (N, C, H, W); re, im: (C, H, W // 2 + 1), the filter's parts.
    """
    h, w = x.shape[-2:]
    rows, columns = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    k = columns[: w // 2 + 1]
    across_cos, across_sin = _waves(columns, k, x.dtype)
    down_cos, down_sin = _waves(rows, rows, x.dtype)
    # Forward: exp(-i angle) across, then down.
    row_re, row_im = x @ across_cos, -(x @ across_sin)
    spec_re = down_cos @ row_re + down_sin @ row_im
    spec_im = down_cos @ row_im - down_sin @ row_re
    spec_re, spec_im = spec_re * re - spec_im * im, spec_re * im + spec_im * re
    # Inverse: exp(+i angle) down, then the real part across; every column but the mean and Nyquist counts twice.
    row_re = down_cos @ spec_re - down_sin @ spec_im
    row_im = down_cos @ spec_im + down_sin @ spec_re
    times = 1 + ((k > 0) & (2 * k < w)).to(x.dtype)
    return ((row_re * times) @ across_cos.transpose(0, 1) - (row_im * times) @ across_sin.transpose(0, 1)) / (h * w)


def _waves(position: Tensor, frequency: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and sin of 2 pi position frequency / len(position), each (len(position), len(frequency)).

    The period stays a tensor and the phase an integer below it: exact, and dynamic sizes survive every exporter.
    """
    period = position[-1] + 1
    angle = (position[:, None] * frequency % period).to(dtype) * (2 * math.pi) / period.to(dtype)
    return angle.cos(), angle.sin()
