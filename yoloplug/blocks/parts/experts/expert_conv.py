"""ExpertConv2d: one convolution whose kernel is mixed per image from several experts, by weights given from outside.

Paper: Yang et al. 2019 (CondConv), https://arxiv.org/abs/1904.04971, section 3.
Each expert is a parameter of its own, shaped as a convolution's kernel, so that optimisers treat it as one (Muon scales
a step by the shape). States with one `weight`, a row an expert (timm's `CondConv2d`) or (E, c2, c1 / g, k, k), load.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, divides, one_of
from yoloplug.blocks.parts.experts.per_sample import conv2d_per_sample
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.reference_state import known, shaped_as
from yoloplug.blocks.parts.watch import watched

Bias = bool | Literal["shared"]
Padding = Literal["symmetric", "same"]


class Experts(nn.Module):
    """Several kernels of one convolution, and the convolution with a mixture of them; subclasses decide the mixture.

    bias: True mixes one bias an expert by the same shares; "shared" adds one bias that is not mixed.
    padding: symmetric is PyTorch's d * (k - 1) // 2 on every side; same is TensorFlow's, whose odd pixel goes to the
    right and the bottom and whose amount depends on the size where s > 1 (weights trained there want it).
    """

    bias: nn.Parameter | None
    shared_bias: nn.Parameter | None

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        experts: int = 4,
        g: int = 1,
        d: int = 1,
        bias: Bias = False,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        name = type(self).__name__
        at_least_one(name, c1=c1, c2=c2, s=s, experts=experts)
        divides(name, "g", g, c1=c1, c2=c2)
        one_of(name, (False, True, "shared"), bias=bias)
        one_of(name, get_args(Padding), padding=padding)
        if padding == "same":
            at_least_one(name, k=k, d=d)
            if k > 1 and d * (k - 1) < s - 1:
                raise ValueError(f"{name}: padding='same' needs d * (k - 1) >= s - 1, got k={k}, d={d}, s={s}")
        self.kernel_shape = (c2, c1 // g, k, k)
        self.s, self.d, self.g = s, d, g
        self.padding = autopad(k, d) if padding == "symmetric" else "same"
        bound = 1 / sqrt(c1 // g * k**2)  # as nn.Conv2d, each expert by itself
        self.kernels = nn.ParameterList(torch.empty(self.kernel_shape) for _ in range(experts))
        self.draw(lambda bank: bank.uniform_(-bound, bound))
        self.register_parameter("bias", nn.Parameter(torch.zeros(experts, c2)) if bias is True else None)
        self.register_parameter("shared_bias", nn.Parameter(torch.zeros(c2)) if bias == "shared" else None)

    @torch.no_grad()
    def draw(self, start: Callable[[Tensor], Tensor]) -> None:
        """Fill the kernels from (experts, c2, c1 / g, k, k), which `start` fills."""
        for kernel, value in zip(self.kernels, start(torch.empty(len(self.kernels), *self.kernel_shape)), strict=True):
            kernel.copy_(value)

    def mixed(self, x: Tensor, share: Tensor) -> Tensor:
        """Convolve image n with sum_e share[n, e] * W_e: mixing kernels costs far less than mixing E outputs."""
        return self.convolve(x, self.mixture(share), self.biases(share))

    def mixture(self, share: Tensor) -> Tensor:
        """(N, experts) -> (N, c2 * c1 / g * k * k), one kernel an image."""
        return watched(self, "experts", share) @ torch.stack([kernel.flatten() for kernel in self.kernels])

    def biases(self, share: Tensor) -> Tensor | None:
        """(N, experts) -> (N, c2), or None without bias."""
        mixed = None if self.bias is None else share @ self.bias
        if self.shared_bias is None:
            return mixed
        return self.shared_bias.expand(share.shape[0], -1) if mixed is None else mixed + self.shared_bias

    def convolve(self, x: Tensor, kernels: Tensor, biases: Tensor | None) -> Tensor:
        """x: (N, c1, H, W); kernels: (N, c2 * c1 / g * k * k), one an image; biases: (N, c2) or None."""
        x, p = (self._padded(x), 0) if self.padding == "same" else (x, int(self.padding))
        return conv2d_per_sample(x, kernels, self.kernel_shape, biases, self.s, p, self.d, self.g)

    def _padded(self, x: Tensor) -> Tensor:
        reach = self.d * (self.kernel_shape[-1] - 1)
        if reach == 0:
            return x
        down, across = (reach - (size - 1) % self.s for size in x.shape[2:])
        return F.pad(x, [across // 2, across - across // 2, down // 2, down - down // 2])

    @torch.no_grad()
    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        """Make the output scale * y + shift per channel, in place; the shift goes into the bias that is not mixed."""
        for kernel in self.kernels:
            kernel.mul_(scale.to(kernel)[:, None, None, None])
        if self.bias is not None:
            self.bias.mul_(scale.to(self.bias))
        if self.shared_bias is None:
            self.shared_bias = nn.Parameter(shift.to(self.kernels[0]).clone(), self.kernels[0].requires_grad)
        else:
            self.shared_bias.mul_(scale.to(self.shared_bias)).add_(shift.to(self.shared_bias))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        bank = state_dict.pop(prefix + "weight", ())
        state_dict |= {f"{prefix}kernels.{e}": kernel for e, kernel in enumerate(bank)}
        shaped_as(state_dict, prefix, **{f"kernels.{e}": kernel for e, kernel in enumerate(self.kernels)})
        super()._load_from_state_dict(state_dict, prefix, *args)

    @classmethod
    def convert_reference(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """`weight`, a row an expert or (E, c2, c1 / g, k, k), becomes `kernels.0` and so on; everything else stays."""
        ours = {key: value for key, value in state.items() if key != "weight"}
        ours |= {f"kernels.{e}": kernel for e, kernel in enumerate(state.get("weight", ()))}
        names = r"kernels\.\d+|bias|shared_bias|(routing_fn|attention)\..+"
        return known(cls.__name__, ours, names)


class ExpertConv2d(Experts):
    """The convolution alone: several layers can take their shares from one router.

    Shape: x (N, c1, H, W), share (N, experts) -> (N, c2, ceil(H/s), ceil(W/s)); k odd with symmetric padding.
    """

    def forward(self, x: Tensor, share: Tensor) -> Tensor:
        return self.mixed(x, share)
