"""What a YAML row may say: the module names that `parse_model` knows, and the arguments that each of them takes there.

A row's arguments are not the constructor's: `parse_model` puts in the input width, the repeats and, for heads, the list
of input widths. What is left for the row is read from the signature of the installed class.
"""

from __future__ import annotations

import inspect
from typing import Any

Parameters = dict[str, inspect.Parameter]

REPEATS = frozenset(
    "BottleneckCSP C1 C2 C2f C3k2 C2fAttn C3 C3TR C3Ghost C3x RepC3 C2fPSA C2fCIB C2PSA A2C2f HGBlock".split()
)
"""Modules whose constructor takes the row's repeats as `n`."""

_FILLED_IN_HEADS = frozenset({"ch", "reg_max", "end2end"})
_OWN_C1 = frozenset({"ResNetLayer"})
"""Modules whose input width stands in the row itself."""


_KEPT = inspect.Parameter("c2", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
"""Width of a row of ours: the input's where none is given."""


def module_names() -> list[str]:
    """Names that a row can carry: Ultralytics' modules, then ours. `nn.X` and `torchvision.ops.X` come on top."""
    from torch import nn
    from ultralytics.nn import tasks

    from yoloplug.hosts import host_names

    ours = host_names()
    stock = [
        name
        for name, value in vars(tasks).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ != tasks.__name__
    ]
    return [*(name for name in stock if name not in ours), *ours]


def module_class(name: str) -> type | None:
    """The class behind a row's name; None if there is no such name."""
    import torchvision
    from torch import nn
    from ultralytics.nn import tasks

    from yoloplug.bridge.patches.restricted import is_layer
    from yoloplug.hosts import host, host_names

    found: Any
    if name.startswith("nn."):
        found = getattr(nn, name[3:], None)
    elif name.startswith("torchvision.ops."):
        found = getattr(torchvision.ops, name[16:], None)
    elif name in host_names() and not _is_upstream(name):
        found = host(name)
    else:
        found = vars(tasks).get(name)
    return found if is_layer(found) else None


def row_parameters(name: str) -> Parameters:
    """Parameters that the row itself gives, in order: name -> parameter. Our hosts: options of the block come last."""
    cls = module_class(name)
    if cls is None:
        raise KeyError(f"unknown module {name!r}")
    block = getattr(cls, "block_name", None)
    if block is not None:
        return _host_parameters(name, cls, block)
    parameters = dict(inspect.signature(cls).parameters)
    first = next(iter(parameters), "")
    if first == "c1" and name not in _OWN_C1:
        del parameters["c1"]
    elif first == "in_channels" and name == "nn.ConvTranspose2d":
        del parameters["in_channels"]
    if name in REPEATS:
        del parameters["n"]
    for filled in _FILLED_IN_HEADS & set(parameters):
        if _is_upstream(name):
            del parameters[filled]
    if name in ("TorchVision", "Index"):
        width = inspect.Parameter("c2", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = {"c2": width, **{k: v for k, v in parameters.items() if k != "c2"}}
    return parameters


def signature_text(name: str) -> str:
    """A row's arguments for a message: `[c2, shortcut=False, g=1, e=0.5]`."""
    texts = []
    for parameter in row_parameters(name).values():
        default = parameter.default
        shown = getattr(default, "__name__", default)
        texts.append(parameter.name if default is inspect.Parameter.empty else f"{parameter.name}={shown}")
    return f"[{', '.join(texts)}]"


def _is_upstream(name: str) -> bool:
    """Whether Ultralytics itself has this name; its own names win over ours."""
    from ultralytics.nn import tasks

    return getattr(vars(tasks).get(name), "__module__", "").startswith("ultralytics.")


def _host_parameters(name: str, cls: type, block: str) -> Parameters:
    from yoloplug.registry import BLOCKS

    row = BLOCKS[block]
    skipped = 1 if row.kind == "keep" else 4
    options = list(inspect.signature(row.cls).parameters.values())[skipped:]
    if name == block:
        base = inspect.signature(cls).parameters
        # gnConv's s and SCConv's k are other values than the row's: they have their place, but not the key
        named = {p.name if p.name not in base else f"{block}.{p.name}": p for p in options}
        return {**{k: base[k] for k in ("c2", "k", "s")}, "c2": _KEPT, **named}
    return {
        **row_parameters(name.split("_")[0]),
        "c2": _KEPT,
        "options": inspect.Parameter("options", inspect.Parameter.KEYWORD_ONLY, default={}),
    }
