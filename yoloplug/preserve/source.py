"""From a pretrained module into the module that stands in its place."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from yoloplug.preserve.kernels import Exact


@torch.no_grad()
def place(rule: Exact, block: nn.Module, norm: nn.Module, kernel: Tensor, source: nn.BatchNorm2d) -> None:
    """Make norm(block(x)) the source's convolution and norm. norm: the host's; idle where the block has its own."""
    rule.place(block, kernel * (1 if rule.norm else rule.factor))
    own = block.get_submodule(rule.norm) if rule.norm else norm
    assert isinstance(own, nn.BatchNorm2d)
    take_norm(own, source)
    if rule.norm:
        own.weight.mul_(rule.factor)
        own.bias.mul_(rule.factor)


@torch.no_grad()
def take_norm(norm: nn.BatchNorm2d, source: nn.BatchNorm2d) -> None:
    """Make `norm` map as `source` does, also where its eps is another one.

    Mathematics: w / sqrt(v + e) = w' / sqrt(v + e') with w' = w sqrt((v + e') / (v + e)): exact in inference, v being
    the running variance, and in training as far as a batch's variance is v. With equal eps, exact in both.
    """
    assert source.running_var is not None
    norm.load_state_dict(source.state_dict())
    if norm.eps != source.eps:
        norm.weight.mul_(((source.running_var.double() + norm.eps) / (source.running_var.double() + source.eps)).sqrt())


def alike(mine: nn.Module, source: nn.Module) -> bool:
    """Whether both compute the same from the same weights: types, numbers of convolutions, scales, shortcuts."""
    ours, theirs = dict(mine.named_modules()), dict(source.named_modules())
    return ours.keys() == theirs.keys() and all(
        type(module) is type(theirs[name])
        and all(getattr(module, n) == getattr(theirs[name], n) for n in _numbers(module))
        for name, module in ours.items()
    )


def _numbers(module: nn.Module) -> Iterable[str]:
    """Names of the plain attributes on which the module's function depends: `stride`, `add`, `scale_factor`."""
    idle = ("training", "inplace", "eps", "momentum")
    plain = (bool, int, float, str, tuple)
    return [n for n, value in vars(module).items() if isinstance(value, plain) and n not in idle and n[0] != "_"]


def described(module: nn.Module) -> str:
    """A module for a message: `Conv2d(16, 32, k=3, s=1)`."""
    if not isinstance(module, nn.Conv2d):
        return type(module).__name__
    k, s = module.kernel_size[0], module.stride[0]
    return f"{type(module).__name__}({module.in_channels}, {module.out_channels}, k={k}, s={s})"
