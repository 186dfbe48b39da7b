"""Blocks that can be the plain convolution they replace: what of them takes its kernel, and what starts idle.

Nothing starts dead: what multiplies a 0 is itself not 0, so the 0 has a gradient at the first step.
    Branches (ACNet, https://arxiv.org/abs/1908.03930; DBB, https://arxiv.org/abs/2103.13425; RepVGG,
        https://arxiv.org/abs/2101.03697): y = BN(K * x) + BN(branch) + ...; the other BatchNorms have gain and shift 0.
    Offsets (DCN, https://arxiv.org/abs/1703.06211): 0, so every tap looks where the plain kernel does.
    Masks and gates (DCNv2, https://arxiv.org/abs/1811.11168; gated convolution, https://arxiv.org/abs/1806.03589;
        squeeze and excitation): their last layer is 0, sigmoid(0) = 1/2, and the kernel is doubled.
    Experts (CondConv, https://arxiv.org/abs/1904.04971; dynamic convolution, https://arxiv.org/abs/1912.03458; ODConv,
        https://arxiv.org/abs/2209.07947): with routing 0 each of E kernels has the same share r, and
        W_e = K / (E r) + N_e, sum N_e = 0. The noise N cancels, so y is K * x, but dL/dr_e = <dL/dy, N_e * x> + const:
        the experts part from the first step on. With N = 0 every expert and every row of the router would have the same
        gradient for ever, a mixture that stays one convolution (Net2Net, https://arxiv.org/abs/1511.05641, 2.4).
    A generator (CondParamConv): its codes V and basis U factor the kernel's matrix, K - mean = V U by the SVD, both
        halves with the root of the singular values; possible where the matrix' rank is no more than U's.
A source's norm goes into the norm behind the kernel, factor and shift as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from yoloplug.blocks.ac_block import ACBlock
from yoloplug.blocks.cond_param_conv import CondParamConv
from yoloplug.blocks.dbb import DBB
from yoloplug.blocks.do_conv import DOConv
from yoloplug.blocks.gated_conv import GatedConv
from yoloplug.blocks.het_conv import HetConv
from yoloplug.blocks.od_conv import ODConv
from yoloplug.blocks.parts.deformable.deform_conv2d import DeformablePack
from yoloplug.blocks.parts.experts.expert_conv import Experts
from yoloplug.blocks.rep_vgg_block import RepVGGBlock, RepVGGSEBlock

NOISE = 0.5
"""Standard deviation of the experts' noise over that of the kernel that they share."""


@dataclass(frozen=True)
class Exact:
    """How a block becomes a convolution with BatchNorm. mechanism: in a few words.

    fits(block, conv): whether this block can. place(block, kernel): give it the kernel (c2, c1, k, k), everything else
    idle. norm: name of the block's own BatchNorm behind the kernel; "" where the host's follows. factor: of the kernel,
    or of that own norm, against what a gate behind it takes away. options: of the row, unless it says otherwise.
    """

    mechanism: str
    fits: Callable[[Any, nn.Conv2d], bool]
    place: Callable[[Any, Tensor], None]
    norm: str = ""
    factor: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)


def exact(name: str, block: nn.Module, conv: nn.Conv2d) -> Exact | None:
    """How the block can be `conv`, a plain convolution with BatchNorm; None where it cannot."""
    rule = EXACT.get(name)
    return rule if rule is not None and rule.fits(block, conv) else None


def _same(layer: nn.Conv2d, conv: nn.Conv2d) -> bool:
    """Whether both convolutions differ in nothing but weights."""
    names = ("in_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    return all(getattr(layer, name) == getattr(conv, name) for name in names)


def _numbers(shape: Any, block: Any, padding: object, conv: nn.Conv2d) -> bool:
    """Whether a block with a kernel of this shape, and s, d, does what `conv` does."""
    own = (tuple(shape), (block.s,) * 2, (padding,) * 2, (block.d,) * 2)
    return own == (tuple(conv.weight.shape), conv.stride, conv.padding, conv.dilation) and conv.groups == 1


def _zero(*layers: nn.Module) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


def _as_conv(block: nn.Conv2d, kernel: Tensor) -> None:
    block.weight.copy_(kernel)
    if block.bias is not None:
        nn.init.zeros_(block.bias)


def _ac_block(block: ACBlock, kernel: Tensor) -> None:
    block.square_conv.weight.copy_(kernel)
    _zero(block.ver_bn, block.hor_bn)


def _dbb(block: DBB, kernel: Tensor) -> None:
    block.dbb_origin.get_parameter("conv.weight").copy_(kernel)
    ends = [block.dbb_avg.get_submodule("avgbn"), block.dbb_1x1_kxk.get_submodule("bn2")]
    _zero(*ends, *([] if block.dbb_1x1 is None else [block.dbb_1x1.get_submodule("bn")]))


def _rep_vgg(block: RepVGGBlock, kernel: Tensor) -> None:
    block.rbr_dense.get_parameter("conv.weight").copy_(kernel)
    _zero(block.rbr_1x1.get_submodule("bn"), *([] if block.rbr_identity is None else [block.rbr_identity]))


def _rep_vgg_se(block: RepVGGSEBlock, kernel: Tensor) -> None:
    assert isinstance(block.branches, RepVGGBlock)
    _rep_vgg(block.branches, kernel)
    _zero(block.se.get_submodule("up"))


def _do_conv(block: DOConv, kernel: Tensor) -> None:
    block.W.zero_()
    taps = kernel[0, 0].numel()
    block.W[:, :, 0, :taps] = kernel.flatten(2)
    if block.k > 1:
        block.D.zero_()
    if block.bias is not None:
        block.bias.zero_()


def _het_conv(block: HetConv, kernel: Tensor) -> None:
    _as_conv(block.gwc, kernel)
    _zero(block.pwc)


def _deformable(block: DeformablePack, kernel: Tensor) -> None:
    block.weight.copy_(kernel)
    _zero(block.conv_offset)
    if block.bias is not None:
        block.bias.zero_()


def _samples_alike(block: DeformablePack, conv: nn.Conv2d) -> bool:
    return _numbers(block.weight.shape, block, block.p, conv)


def _is_dense(block: DOConv, conv: nn.Conv2d) -> bool:
    return _numbers((*block.W.shape[:2], block.k, block.k), block, block.p, conv)


def _gated(block: GatedConv, kernel: Tensor) -> None:
    _zero(block.conv)
    block.conv.weight[: len(kernel)] = kernel


def _is_ungated_inside(block: GatedConv, conv: nn.Conv2d) -> bool:
    return isinstance(block.act, nn.Identity) and isinstance(block.pad, nn.Identity) and _same(block.conv, conv)


def _experts(block: Experts, kernel: Tensor) -> None:
    noise = torch.randn(len(block.kernels), *kernel.shape, dtype=torch.float64) * NOISE * float(kernel.std())
    noise = noise - noise.mean(0)
    block.draw(lambda bank: bank.copy_(kernel + noise))
    for bias in (block.bias, block.shared_bias):
        if bias is not None:
            bias.zero_()


def _cond_conv(block: Any, kernel: Tensor) -> None:
    _experts(block, kernel / len(block.kernels))
    _zero(block.routing_fn)


def _dynamic_conv(block: Any, kernel: Tensor) -> None:
    _experts(block, kernel)
    _zero(block.attention.fc2)


def _od_conv(block: ODConv, kernel: Tensor) -> None:
    heads = [name for name in block.attention.heads if name != "kernel_fc"]
    _experts(block, kernel * 2 ** len(heads))
    _zero(*(block.attention.get_submodule(name) for name in block.attention.heads))


def _is_ungrouped(block: Experts, conv: nn.Conv2d) -> bool:
    return _numbers(block.kernel_shape, block, block.padding, conv)


def _cond_param(block: CondParamConv, kernel: Tensor) -> None:
    matrix = kernel.double().transpose(0, 1).flatten(1)  # (c1, c2 * k * k)
    mean = matrix.mean(0)
    left, size, right = torch.linalg.svd(matrix - mean, full_matrices=False)
    rank = min(len(size), block.weight.shape[1])
    _zero(block.codes, block.shifts)
    block.codes.bias.reshape(len(matrix), -1)[:, :rank] = left[:, :rank] * size[:rank].sqrt()
    block.weight[:, :rank] = (size[:rank].sqrt()[:, None] * right[:rank]).T
    block.kernel_bias.copy_(mean)


def _has_rank(block: CondParamConv, conv: nn.Conv2d) -> bool:
    c2, c1, k, _ = block.kernel_shape
    return _numbers(block.kernel_shape, block, block.p, conv) and min(c1 - 1, c2 * k * k) <= block.weight.shape[1]


EXACT: dict[str, Exact] = {
    "ACBlock": Exact(
        "other branches' gain 0", lambda block, conv: _same(block.square_conv, conv), _ac_block, "square_bn"
    ),
    "AtrousConv": Exact("d = 1 is a plain convolution", _same, _as_conv),
    "CondConv": Exact("experts with noise of sum 0, kernel x 2", _is_ungrouped, _cond_conv, factor=2),
    "CondParamConv": Exact("generator factors the kernel", _has_rank, _cond_param),
    "DBB": Exact(
        "other branches' gain 0",
        lambda block, conv: _same(block.dbb_origin.get_submodule("conv"), conv),
        _dbb,
        "dbb_origin.bn",
    ),
    "DCNv1": Exact("offset 0", _samples_alike, _deformable),
    "DCNv2": Exact("offset 0, mask 1/2, kernel x 2", _samples_alike, _deformable, factor=2),
    "DOConv": Exact("depthwise factor is the identity", _is_dense, _do_conv),
    "DynamicConv": Exact("experts with noise of sum 0", _is_ungrouped, _dynamic_conv),
    "GatedConv": Exact(
        "gate 1/2, kernel x 2; gate_first", _is_ungated_inside, _gated, factor=2, options={"gate_first": True}
    ),
    "HetConv": Exact("p = 1 is a plain convolution", lambda block, conv: _same(block.gwc, conv), _het_conv),
    "ODConv": Exact("experts with noise of sum 0, kernel x 8", _is_ungrouped, _od_conv),
    "PointwiseConv": Exact("k = 1 is a plain convolution", _same, _as_conv),
    "RepVGGBlock": Exact(
        "other branches' gain 0",
        lambda block, conv: _same(block.rbr_dense.get_submodule("conv"), conv),
        _rep_vgg,
        "rbr_dense.bn",
    ),
    "RepVGGSEBlock": Exact(
        "other branches' gain 0, gate 1/2, norm x 2",
        lambda block, conv: _same(block.branches.rbr_dense.get_submodule("conv"), conv),
        _rep_vgg_se,
        "branches.rbr_dense.bn",
        factor=2,
    ),
}
"""Name of a block -> how it becomes a convolution. Blocks that are not here, or do not fit, stand beside it."""


def preserving_options(name: str, preserve: object) -> Mapping[str, Any]:
    """Of a row that preserves, unless it says otherwise.

    HorBlock's own factors of 1e-6 behind gamma would keep its weights still for thousands of steps.
    """
    if name == "HorBlock":
        return {"layer_scale": 0.0}
    return EXACT[name].options if preserve is True and name in EXACT else {}
