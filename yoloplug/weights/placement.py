"""Tensors of a trained network under the names that they have in a changed one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from yoloplug.weights.align import Alignment
from yoloplug.weights.keys import Inputs, meet

ROWS = "model."
"""What the names of a row's tensors begin with, before the row's number."""


@dataclass(frozen=True)
class Placement:
    """keys: names of the changed network's tensors -> names in the trained one, whatever their shapes.

    starts: names of modules that start as a trained module, by `start_as`.
    """

    alignment: Alignment
    keys: dict[str, str]
    starts: dict[str, str]

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state of the trained network under the changed network's names; what is in no row keeps its name."""
        outside = {name: value for name, value in state.items() if not name.startswith(ROWS)}
        return outside | {ours: state[theirs] for ours, theirs in self.keys.items() if theirs in state}


def placement(alignment: Alignment, source: nn.Module, target: nn.Module) -> Placement:
    """Of two networks whose rows are `model.0`, `model.1`, …"""
    keys: dict[str, str] = {}
    starts: dict[str, str] = {}
    for pair in alignment.pairs:
        of_source, of_target = len(pair.source.sources), len(pair.target.sources)
        inputs = Inputs(of_source, of_target, alignment.inputs_met(pair)) if of_target > 1 else None
        s, t = f"{ROWS}{pair.source.index}.", f"{ROWS}{pair.target.index}."
        met = meet(source.get_submodule(s[:-1]), target.get_submodule(t[:-1]), inputs)
        keys |= {t + ours: s + theirs for ours, theirs in met.keys.items()}
        starts |= {(t + ours)[:-1]: (s + theirs)[:-1] for ours, theirs in met.starts.items()}
    return Placement(alignment, keys, starts)
