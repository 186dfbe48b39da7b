"""Stock `model.info()` counts our blocks as `yoloplug profile` does.

Ultralytics counts with thop, which has a rule for a module's class and knows no operation: a deformable convolution, a
functional convolution and a Fourier transform count 0. It runs an image of one stride (32 pixels) and extrapolates by
area, which is wrong for what does not grow with the area. So while `get_flops` runs, our blocks have a rule: count the
block alone, as `yoloplug.cost.flops` does, at the size that it has in the full image, and report the share that becomes
that number when extrapolated. The count runs on the meta device, without arithmetic. The rule replaces the counts of
the block's children. Models without our blocks never reach it.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from yoloplug.registry import BLOCKS

Size = Sequence[int]
Rule = Callable[[Any, tuple[Any, ...], Any], None]


def patch(torch_utils: ModuleType) -> None:
    stock = torch_utils.get_flops

    @functools.wraps(stock)
    def get_flops(model: nn.Module, imgsz: int | Size = 640) -> float:
        ours = {type(module) for module in model.modules()} & {row.cls for row in BLOCKS.values()}
        rules = _thop_rules() if ours else None
        if rules is None:
            return float(stock(model, imgsz))
        full = (imgsz, imgsz) if isinstance(imgsz, int) else tuple(imgsz)
        seen: list[Size] = [full]
        handle = _unwrapped(model).register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[2:]))
        rules.update(dict.fromkeys(ours, _rule(full, seen)))
        try:
            gflops = float(stock(model, imgsz))
        finally:
            handle.remove()
            for cls in ours:
                del rules[cls]
        if not gflops:
            torch_utils.LOGGER.warning("yoloplug: thop failed on this model; `yoloplug profile` counts without it")
        return gflops

    setattr(torch_utils, stock.__name__, get_flops)


def _thop_rules() -> dict[type, Any] | None:
    """thop's rules by class; None where thop is not installed. Imported as late as Ultralytics does."""
    import sys

    try:
        import thop  # noqa: F401
    except ImportError:
        return None
    rules: dict[type, Any] = sys.modules["thop.profile"].register_hooks
    return rules


def _unwrapped(model: nn.Module) -> nn.Module:
    """The model that receives images, inside DataParallel or torch.compile."""
    for attribute in ("_orig_mod", "module"):
        model = getattr(model, attribute, model)
    return model


def _rule(full: Size, seen: list[Size]) -> Rule:
    """thop's rule of our blocks. full: image size asked for; seen: sizes of the images run, the last one now."""
    known: dict[tuple[Any, ...], int] = {}

    def count(module: Any, args: tuple[Any, ...], _: Any) -> None:
        (h, w), (full_h, full_w) = seen[-1], full

        def at_full_size(x: Any) -> Any:
            if isinstance(x, list | tuple):
                return type(x)(map(at_full_size, x))
            if not isinstance(x, torch.Tensor):
                return x
            shape = list(x.shape)
            if x.ndim == 4:
                shape[2:] = round(shape[2] * full_h / h), round(shape[3] * full_w / w)
            return torch.empty(shape, dtype=x.dtype, device="meta")

        given = [at_full_size(x) for x in args]
        key = (id(module), *(str(getattr(x, "shape", x)) for x in given))
        if key not in known:
            known[key] = _macs(module, given)
        for child in module.modules():
            if child is not module and hasattr(child, "total_ops"):
                child.total_ops *= 0  # an int in new releases of thop, a buffer in old ones
        module.total_ops += known[key] * (h * w) / (full_h * full_w)

    return count


def _macs(module: nn.Module, given: list[Any]) -> int:
    """Multiply-adds of the block alone, without the hooks that thop put on it."""
    from yoloplug.cost.flops import count_flops

    tensors = [*module.parameters(), *module.buffers()]
    on_meta = {id(t): nn.Parameter(t.to("meta")) if isinstance(t, nn.Parameter) else t.to("meta") for t in tensors}
    bare = copy.deepcopy(module, on_meta)
    for child in bare.modules():
        for hooks in (child._forward_hooks, child._forward_pre_hooks):
            hooks.clear()
    return count_flops(bare, *given).flops // 2
