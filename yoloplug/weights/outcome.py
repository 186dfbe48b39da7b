"""What became of each row's parameters: carried over, of another shape, fresh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from yoloplug.hosts import ConvLike
from yoloplug.weights.align import GraphRow
from yoloplug.weights.placement import ROWS, Placement

__all__ = ["Outcome", "PlacedRow", "outcome"]


@dataclass(frozen=True)
class PlacedRow:
    """One row of the changed network.

    carried: of its parameters (`target.params`) those that are the source's. notes: what is fresh or of another shape,
    and how preserved layers start.
    """

    target: GraphRow
    source: GraphRow | None
    carried: int
    notes: list[str]


@dataclass(frozen=True)
class Outcome:
    """params: of the source. placed: those that are in the changed network now.

    by_number: those that Ultralytics would have placed, which goes by the row's number; astray: of these, the ones in
    another layer.
    """

    rows: list[PlacedRow]
    removed: list[GraphRow]
    params: int
    placed: int
    by_number: int
    astray: int


def outcome(
    placement: Placement,
    source: nn.Module,
    target: nn.Module,
    by_class: Collection[str] = (),
    starts: Mapping[str, str] | None = None,
    refused: Mapping[str, str] | None = None,
) -> Outcome:
    """After loading.

    by_class: tensors whose rows went by class names. starts: preserved modules -> how each starts; refused: those that
    could not -> why.
    """
    return _Count(placement, source, target, by_class, starts or {}, refused or {}).outcome()


class _Count:
    def __init__(
        self,
        placement: Placement,
        source: nn.Module,
        target: nn.Module,
        by_class: Collection[str],
        starts: Mapping[str, str],
        refused: Mapping[str, str],
    ) -> None:
        self.placement, self.source, self.target = placement, source, target
        self.theirs, self.ours = dict(source.named_parameters()), dict(target.named_parameters())
        self.starts, self.refused = starts, refused
        self.carried: dict[str, int] = {}
        for name, value in self.ours.items():
            given = self.theirs.get(placement.keys.get(name, ""))
            if given is not None and name in by_class:
                self.carried[name] = _common_rows(given, value)
            elif given is not None and given.shape == value.shape:
                self.carried[name] = value.numel()

    def outcome(self) -> Outcome:
        size = {name: value.numel() for name, value in self.theirs.items()}
        gave = {name: _params(self.source.get_submodule(self.placement.starts[name])) for name in self.starts}
        same = [n for n, value in self.theirs.items() if n in self.ours and self.ours[n].shape == value.shape]
        astray = [n for n in same if n.startswith(ROWS) and self.placement.keys.get(n) != n and not self._starts(n)]
        return Outcome(
            [self._row(row) for row in self.placement.alignment.target],
            self.placement.alignment.removed,
            sum(size.values()),
            sum(self.carried.values()) + sum(gave.values()),
            sum(size[name] for name in same),
            sum(size[name] for name in astray),
        )

    def _starts(self, name: str) -> str | None:
        """The preserved module that a tensor of the changed network is in."""
        return next((module for module in self.starts if name.startswith(f"{module}.")), None)

    def _row(self, row: GraphRow) -> PlacedRow:
        prefix = f"{ROWS}{row.index}."
        carried = sum(count for name, count in self.carried.items() if name.startswith(prefix))
        for name in self.starts:
            if f"{name}.".startswith(prefix):
                gave = _params(self.source.get_submodule(self.placement.starts[name]))
                carried += min(gave, _params(self.target.get_submodule(name)))
        partner = self.placement.alignment.source_of(row.index)
        return PlacedRow(row, partner, carried, self._notes(row, prefix, partner, carried))

    def _notes(self, row: GraphRow, prefix: str, partner: GraphRow | None, carried: int) -> list[str]:
        notes = [f"{name.removeprefix(prefix)}: {why}" for name, why in self.refused.items() if name.startswith(prefix)]
        for (block, how), count in Counter(
            (self._block(name), how) for name, how in self.starts.items() if f"{name}.".startswith(prefix)
        ).items():
            notes.append(f"{_times(count, block)} starts as trained ({how})")
        if partner is None:
            return [*notes, "inserted: fresh"] if row.params and not carried else [*notes, "inserted"]
        if row.params and not carried:
            return [*notes, "another layer than before: fresh" if partner.kind != row.kind else "fresh"]
        hosts: set[str] = set()
        fresh: set[str] = set()
        other: set[str] = set()
        for name, value in self.ours.items():
            if not name.startswith(prefix) or self.carried.get(name) or self._starts(name):
                continue
            given = self.theirs.get(self.placement.keys.get(name, ""))
            layer = name.removeprefix(prefix).rpartition(".")[0]
            if given is not None:
                other.add(_change(layer, given, value))
            elif host := self._host(name):
                hosts.add(host)
            else:
                fresh.add(_layer(layer))
        notes += [f"{_times(n, b)} fresh" for b, n in Counter(self._block(host) for host in hosts).items()]
        notes += [f"{', '.join(sorted(other))}: other width, fresh"] if other else []
        return [*notes, f"{', '.join(sorted(fresh))}: fresh"] if fresh else notes

    def _host(self, name: str) -> str | None:
        """The innermost of our hosts around a tensor."""
        while name:
            name = name.rpartition(".")[0]
            if name and isinstance(self.target.get_submodule(name), ConvLike):
                return name
        return None

    def _block(self, module: str) -> str:
        found = self.target.get_submodule(module)
        return str(getattr(found, "block_name", type(found).__name__))


def _params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _times(count: int, name: str) -> str:
    return f"{count} {name}" if count > 1 else name


def _layer(name: str) -> str:
    """`cv3` of `cv3.0.2`: what a reader looks for."""
    return name.partition(".")[0]


def _change(layer: str, given: Tensor, value: Tensor) -> str:
    """`cv3 80 -> 6`: the layer, and the widths in which its tensors differ."""
    differ = [f"{a} -> {b}" for a, b in zip(given.shape, value.shape, strict=False) if a != b]
    return f"{_layer(layer)} {differ[0]}" if differ else _layer(layer)


def _common_rows(given: Tensor, value: Tensor) -> int:
    """Elements of the rows of `value` that are rows of `given`."""
    if given.shape[1:] != value.shape[1:]:
        return 0
    ours, theirs = value.detach().reshape(len(value), -1), given.detach().to(value).reshape(len(given), -1)
    found = (ours[:, None] == theirs[None]).all(2).any(1)
    return int(found.sum()) * ours.shape[1]
