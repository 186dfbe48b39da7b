"""DynamicFilter: every pixel is filtered by a filter that a small network computed from the features around it.

Paper: De Brabandere et al. 2016, https://arxiv.org/abs/1605.09673, sections 3.1 (filter-generating network) and 3.2
(dynamic local filtering layer). DynamicFilterLayer is the authors' layer, for filters from a network of one's own.
Mathematics: y_c(p) = Σ_t F_g(c),t(p) x_c(p + t) over the k x k taps t; F(p) = softmax_t(W₁ ReLU(W₀ * x)(p) + b₁),
W₀ 3x3 to c // reduction channels, W₁ 1x1; the k² c P products of the sum are element-wise: not in `macs`.
Use it when what helps is choosing where to look: sharpening, shifting or smoothing that depends on the place. With
softmax it only averages, the other convolutions must extract. In training on a CPU k=3 takes .6 of a 3x3 Conv's time at
64 channels with yoloplug's C kernels, about 1.4 times it without.
Departs: the paper feeds the generator a second input (an earlier frame, an angle); in a row of a YAML both are x.
The softmax over taps is that of its video experiments (section 4.2).
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.filters.local_filter import local_filter
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["DynamicFilter", "DynamicFilterLayer"]


@register(
    "DynamicFilter",
    kind="keep",
    paper="arXiv:1605.09673",
    constraints="groups divides c; k odd",
    params="(9 * c + 1) * max(1, c // reduction) + (max(1, c // reduction) + 1) * groups * k**2",
    macs="P * max(1, c // reduction) * (9 * c + groups * k**2)",
)
class DynamicFilter(nn.Module):
    """Compute a k x k filter for each pixel and group of channels, and apply it there.

    Shape: (N, c, H, W) -> same; k odd. groups: sets of channels with a filter of their own; 1 shares it among all.
    reduction: c over the width of the filter-generating network. softmax: make each filter's weights positive with
    sum 1, otherwise they are what the network says.
    """

    def __init__(self, c: int, k: int = 3, groups: int = 1, reduction: int = 4, softmax: bool = True) -> None:
        super().__init__()
        at_least_one("DynamicFilter", c=c)
        at_least_one("DynamicFilter", reduction=reduction)
        divides("DynamicFilter", "groups", groups, c=c)
        if k == 1 and softmax:
            raise ValueError("DynamicFilter: k=1 with softmax has the one weight 1 and does nothing; use k=3")
        autopad(k)
        self.k, self.groups, self.softmax = k, groups, softmax
        hidden = max(1, c // reduction)
        self.generator = nn.Sequential(
            nn.Conv2d(c, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, groups * k * k, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        filters = self.generator(x)
        if self.softmax:
            n, _, h, w = x.shape
            filters = filters.reshape(n, self.groups, self.k**2, h, w).softmax(2).flatten(1, 2)
        return local_filter(x, filters, self.k)


class DynamicFilterLayer(nn.Module):
    """The paper's dynamic local filtering layer: apply given filters, one for each pixel.

    Shape: image (N, c, H, W), filters (N, c * k * k, H', W') with index (channel * k + row) * k + column -> the sum
    over channels (N, 1, H', W'). With grouping the filters are (N, k * k, H', W'), filter each channel by itself, and
    the result is (N, c, H', W'). H' = ceil(H/s), W' = ceil(W/s). No parameters.
    """

    def __init__(self, k: int = 3, s: int = 1, grouping: bool = False) -> None:
        super().__init__()
        autopad(k)
        at_least_one("DynamicFilterLayer", s=s)
        self.k, self.s, self.grouping = k, s, grouping

    def forward(self, image: Tensor, filters: Tensor) -> Tensor:
        expected = self.k**2 * (1 if self.grouping else image.shape[1])
        if filters.shape[1] != expected:
            raise ValueError(f"DynamicFilterLayer: filters have {filters.shape[1]} channels, expected {expected}")
        y = local_filter(image, filters, self.k, self.s)
        return y if self.grouping else y.sum(1, keepdim=True)
