"""Which tensor of a row is which tensor of the trained row in its place.

Names meet where the layers around them are of related classes: the same, one derived from the other, as `C3k2` from
`C2f`, or both from one layer of Ultralytics. So no tensor lands in another layer that happens to have its name and
shape. Inside our hosts names differ from stock's:

- a stock `Conv` in front of a block that keeps its width (`pre`) is the trained `Conv`;
- otherwise the block takes the convolution's place, starts fresh, and the norm behind it takes the trained gain and
  shift: so each channel begins with the mean and the spread that the next layer was trained on. Statistics it must see
  itself, for they are of another operation;
- a host that preserves takes the trained layer as a whole, by its `start_as`.

Layers of a head for each input, `cv2.0` for P3, meet by the input that they read, not by their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import nn

from yoloplug.hosts import ConvLike, Inserted, stock_class


@dataclass
class Met:
    """Names in a row of the changed network -> names in the trained row.

    keys: of parameters and buffers, whatever their shapes. starts: of modules that start as the trained one.
    """

    keys: dict[str, str] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)


class Inputs(NamedTuple):
    """Of a row with several inputs, before and after: how many, and position in the target -> in the source."""

    of_source: int
    of_target: int
    met: Mapping[int, int]


def meet(source: nn.Module, target: nn.Module, inputs: Inputs | None = None) -> Met:
    """The names of a pair of rows."""
    met = Met()
    s, t = "", ""
    if _is_repeated(source) != _is_repeated(target):  # one of them repeated: the first repeat is the trained row
        if _is_repeated(source):
            source, s = source[0], "0."  # type: ignore[index]
        else:
            target, t = target[0], "0."  # type: ignore[index]
    _meet(met, source, target, s, t, inputs)
    return met


def _meet(met: Met, source: nn.Module, target: nn.Module, s: str, t: str, inputs: Inputs | None = None) -> None:
    if getattr(target, "preserves", False) and not isinstance(source, ConvLike | Inserted):
        met.starts[t] = s
        return
    hosts = isinstance(source, ConvLike), isinstance(target, ConvLike)
    if any(hosts) and getattr(source, "block_name", None) != getattr(target, "block_name", None):
        _meet_hosts(met, source, target, s, t)
        return
    if not _related(type(source), type(target)):
        return
    for name in _own_tensors(target) & _own_tensors(source):
        met.keys[t + name] = s + name
    theirs = dict(source.named_children())
    for name, child in target.named_children():
        partner = theirs.get(name)
        if partner is None:
            continue
        if inputs and _is_for_each_input(child, partner, inputs):
            for k, i in inputs.met.items():
                _meet(met, partner[i], child[k], f"{s}{name}.{i}.", f"{t}{name}.{k}.")  # type: ignore[index]
        else:
            _meet(met, partner, child, f"{s}{name}.", f"{t}{name}.")


def _meet_hosts(met: Met, source: nn.Module, target: nn.Module, s: str, t: str) -> None:
    """One of them, or both with different blocks, are hosts."""
    theirs, ours = _stock_conv(source), _stock_conv(target)
    if theirs is not None and ours is not None:
        _meet(met, source.get_submodule(theirs), target.get_submodule(ours), _dotted(s, theirs), _dotted(t, ours))
    elif all(isinstance(getattr(m, "bn", None), nn.BatchNorm2d) for m in (source, target)):
        for name in ("weight", "bias"):
            met.keys[f"{t}bn.{name}"] = f"{s}bn.{name}"


def _stock_conv(module: nn.Module) -> str | None:
    """Where the module has a whole stock convolution with its norm: in itself, in front of or beside the block."""
    for name in ("pre", "block.main") if isinstance(module, ConvLike) else ("",):
        part: nn.Module | None = module
        for step in filter(None, name.split(".")):
            part = getattr(part, step, None)
        if isinstance(getattr(part, "conv", None), nn.Conv2d):
            return name
    return None


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}{name}." if name else prefix


def _own_tensors(module: nn.Module) -> set[str]:
    """Names of parameters and buffers that a state dict holds, without those of submodules."""
    tensors = module._parameters | module._buffers
    return {name for name, value in tensors.items() if value is not None} - module._non_persistent_buffers_set


def _related(a: type[nn.Module], b: type[nn.Module]) -> bool:
    a, b = stock_class(a), stock_class(b)
    if issubclass(a, b) or issubclass(b, a):
        return True
    return any(base.__module__.startswith("ultralytics.") for base in set(a.__mro__) & set(b.__mro__))


def _is_repeated(row: nn.Module) -> bool:
    """Whether a row is one of several repeats, which Ultralytics puts into an nn.Sequential."""
    return type(row) is nn.Sequential and len(row) > 0


def _is_for_each_input(child: nn.Module, partner: nn.Module, inputs: Inputs) -> bool:
    lists = isinstance(child, nn.ModuleList) and isinstance(partner, nn.ModuleList)
    return lists and (len(partner), len(child)) == inputs[:2]  # type: ignore[arg-type]
