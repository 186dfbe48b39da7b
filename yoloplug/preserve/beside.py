"""y = main(x) + gamma * act(norm(block(x))): a block beside the module that it would have replaced, silent at first.

Papers: De, Smith 2020 (SkipInit), https://arxiv.org/abs/2002.10444, section 4; Bachlechner et al. 2020 (ReZero),
https://arxiv.org/abs/2003.04887, section 3. They have one factor a residual branch; here each channel has its own, as
Touvron et al. 2021 (CaiT), https://arxiv.org/abs/2103.17239, section 2.
Mathematics: with gamma = 0, y = main(x) in training as in inference. dL/dgamma_c = sum of dL/dy_c times the branch's
output, which is not 0: the first step moves gamma. The branch's own weights get gamma times a gradient, 0 at that very
first step only.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.folding.affine import absorbed
from yoloplug.blocks.parts.folding.batch_norm import bn_affine, fold_norms
from yoloplug.blocks.parts.folding.branches import Kernel, grown, plain_conv
from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d
from yoloplug.blocks.parts.norms.layer_scale import LayerScale

Preserve = bool | Literal["inserted"]
"""False; True in the place of a stock module; "inserted" where there was none."""

GAMMA = "gamma 0"
"""This mechanism, in a few words."""

EPS, MOMENTUM = 1e-3, 0.03
"""Of every nn.BatchNorm2d in a model of Ultralytics."""


class Beside(nn.Module):
    """main(x) + gamma * act(norm(block(x))), gamma 0 per channel at the start.

    Shape: x -> main's, which is the block's. gamma is the gain of a norm by its type, so trainers spare it weight decay
    and Muon. norm: a BatchNorm, or the identity. A further input, a condition, is the block's alone.
    """

    def __init__(self, main: nn.Module, block: nn.Module, norm: nn.Module, act: nn.Module, c: int) -> None:
        super().__init__()
        self.main, self.block, self.norm, self.act = main, block, norm, act
        self.gamma: nn.Module = LayerScale(c, start=0.0)

    def forward(self, x: Tensor, *condition: Tensor) -> Tensor:
        y: Tensor = self.main(x) + self.gamma(self.act(self.norm(self.block(x, *condition))))
        return y

    def merged(self) -> nn.Module:
        """For inference, in place: every BatchNorm and, where nothing stands between, gamma go into the layers.

        Returns a new convolution where main and block are convolutions that fit into one, otherwise itself.
        """
        to_conv = getattr(self.block, "to_conv", None)
        if to_conv is not None:
            self.block = to_conv()
        fold_norms(self.block)
        if isinstance(self.main, nn.Sequential):
            fold_norms(self.main)
        linear = isinstance(self.block, nn.Conv2d) or hasattr(self.block, "fold_affine")
        direct = isinstance(self.act, nn.Identity) and isinstance(self.gamma, LayerScale)
        if isinstance(self.norm, nn.BatchNorm2d) or (direct and linear):
            gain = self.gamma.get_parameter("weight").detach() if direct else torch.ones(())
            scale, shift = bn_affine(self.norm) if isinstance(self.norm, nn.BatchNorm2d) else (gain * 0 + 1, gain * 0)
            self.norm = absorbed(self.block, gain * scale, gain * shift)
            self.gamma = nn.Identity() if direct else self.gamma
        kernels = self._kernels()
        if kernels is None:
            return self
        conv = self.main.get_submodule("conv")
        assert isinstance(conv, nn.Conv2d)
        return plain_conv(kernels, conv.stride[0], conv.kernel_size[0] // 2)

    def _kernels(self) -> list[Kernel] | None:
        """Main's and block's, of one size, where their sum is one convolution of main's size."""
        rest = (self.norm, self.act, self.gamma, *list(self.main.children())[1:])
        conv = getattr(self.main, "conv", None)
        plain = isinstance(conv, nn.Conv2d) and isinstance(self.block, nn.Conv2d) and _is_plain(conv, self.block)
        if not plain or not all(isinstance(part, nn.Identity) for part in rest):
            return None
        assert isinstance(conv, nn.Conv2d) and isinstance(self.block, nn.Conv2d)
        size = conv.kernel_size[0]
        pairs = [(layer.weight.detach(), layer.bias) for layer in (conv, self.block)]
        return [(grown(w, size), w.new_zeros(len(w)) if b is None else b.detach()) for w, b in pairs]


def _is_plain(conv: nn.Conv2d, other: nn.Conv2d) -> bool:
    """Whether both are ungrouped, undilated, centred convolutions of one stride, the other no larger."""
    return other.kernel_size[0] <= conv.kernel_size[0] and all(
        type(layer).forward is nn.Conv2d.forward
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.kernel_size[0] % 2 == 1
        and layer.kernel_size[0] == layer.kernel_size[1]
        and layer.padding == (layer.kernel_size[0] // 2,) * 2
        and layer.padding_mode == "zeros"
        and layer.stride == conv.stride
        for layer in (conv, other)
    )


def conv_and_norm(conv: nn.Conv2d) -> nn.Sequential:
    """The linear part of a stock Conv; keys as there."""
    return nn.Sequential(OrderedDict[str, nn.Module](conv=conv, bn=stock_norm(conv.out_channels)))


def stock_norm(c: int) -> nn.BatchNorm2d:
    """As Ultralytics has them in every model."""
    return nn.BatchNorm2d(c, EPS, MOMENTUM)


def settled(module: nn.Module) -> nn.Module:
    """The module; every BatchNorm in it has statistics that are right from the first batch on.

    An nn.BatchNorm2d would start at variance 1, which no batch had: as its gain grows from 0, inference would for
    hundreds of steps see another branch than training does.
    """
    for parent in list(module.modules()):
        for name, norm in list(parent.named_children()):
            if type(norm) is nn.BatchNorm2d:
                corrected = CorrectedBatchNorm2d(norm.num_features, EPS, MOMENTUM)
                corrected.weight, corrected.bias = norm.weight, norm.bias
                setattr(parent, name, corrected)
    return module
