"""Fold every batch norm into the convolution before it, found by running the model once and proved by running it again.

Ultralytics folds its own models; smp's have no such step, and an unfused baseline would be timed unfairly.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_TOLERANCE = 1e-3


def fold_batch_norm(model: nn.Module, example: Tensor) -> tuple[nn.Module, int]:
    """A folded copy in eval mode and the number of folded pairs. A fold that changes the output is not made."""
    folded = copy.deepcopy(model).eval()
    with torch.no_grad():
        expected = folded(example)
        pairs = _pairs(folded, example)
        undo = [_fold(folded, *pair) for pair in pairs]
        if _same(folded(example), expected):
            return folded, len(pairs)
        for step in undo:
            step()
        kept = 0
        for pair in pairs:  # some convolution's output is used beside its norm: find out which
            step = _fold(folded, *pair)
            if _same(folded(example), expected):
                kept += 1
            else:
                step()
    return folded, kept


def _fold(model: nn.Module, conv_name: str, norm_name: str) -> Callable[[], None]:
    """Make one fold; the function that takes it back."""
    conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    _replace(model, conv_name, fuse_conv_bn_eval(conv, norm))
    _replace(model, norm_name, _after(norm))

    def undo() -> None:
        _replace(model, conv_name, conv)
        _replace(model, norm_name, norm)

    return undo


def _same(output: Tensor, expected: Tensor) -> bool:
    return torch.allclose(output, expected, rtol=_TOLERANCE, atol=_TOLERANCE)


def _pairs(model: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """(convolution, batch norm) names where the norm's input is the very tensor the convolution returned."""
    made: list[tuple[Tensor, str]] = []
    pairs: list[tuple[str, str]] = []
    hooks = []

    def after_conv(name: str) -> object:
        return lambda module, given, output: made.append((output, name))

    def before_norm(name: str) -> object:
        return lambda module, given: pairs.extend((conv, name) for tensor, conv in made if tensor is given[0])

    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(after_conv(name)))  # type: ignore[arg-type]
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(before_norm(name)))  # type: ignore[arg-type]
    model(example)
    for hook in hooks:
        hook.remove()
    convs, norms = [conv for conv, _ in pairs], [norm for _, norm in pairs]
    return [pair for pair in pairs if convs.count(pair[0]) == 1 and norms.count(pair[1]) == 1]


def _after(norm: nn.BatchNorm2d) -> nn.Module:
    """What a norm does besides normalising: timm's BatchNormAct2d ends with dropout and activation."""
    extra = [getattr(norm, name) for name in ("drop", "act") if isinstance(getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*extra) if extra else nn.Identity()


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
