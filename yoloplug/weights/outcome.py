"""What became of each row's parameters: carried over, of another shape, fresh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from yoloplug.hosts import ConvLike
from yoloplug.weights.align import INSERTED, GraphRow
from yoloplug.weights.placement import ROWS, Placement


@dataclass(frozen=True)
class PlacedRow:
    """One row of the changed network.

    carried: of its parameters (`target.params`) those that are the source's. notes: what is fresh or of another shape,
    and how preserved layers start. fresh_blocks: whether blocks of ours are among what is fresh.
    """

    target: GraphRow
    source: GraphRow | None
    carried: int
    notes: list[str]
    fresh_blocks: bool


@dataclass(frozen=True)
class Outcome:
    """params: of the source. placed: those that are in the changed network now.

    resized: those that met a layer of another width. by_number: those that Ultralytics would have placed, which goes by
    the row's number; astray: of these, the ones in another layer.
    """

    rows: list[PlacedRow]
    removed: list[GraphRow]
    params: int
    placed: int
    resized: int
    by_number: int
    astray: int


class Count:
    """After loading.

    by_class: tensors whose rows went by class names. starts: preserved modules -> how each starts; refused: those that
    could not -> why.
    """

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
        met = {name for own, name in self.placement.keys.items() if own in self.ours and own not in self.carried}
        return Outcome(
            [self._row(row) for row in self.placement.alignment.target],
            self.placement.alignment.removed,
            sum(size.values()),
            sum(self.carried.values()) + sum(gave.values()),
            sum(size[name] for name in met if name in size),
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
        hosts = self._fresh_hosts(prefix)
        return PlacedRow(row, partner, carried, self._notes(row, prefix, partner, carried, hosts), bool(hosts))

    def _notes(
        self, row: GraphRow, prefix: str, partner: GraphRow | None, carried: int, hosts: Collection[str]
    ) -> list[str]:
        notes = [f"{name.removeprefix(prefix)}: {why}" for name, why in self.refused.items() if name.startswith(prefix)]
        for (block, how), count in Counter(
            (self._block(name), how) for name, how in self.starts.items() if f"{name}.".startswith(prefix)
        ).items():
            notes.append(f"{_times(count, block)} starts as trained ({how})")
        if partner is None:
            fresh = row.params and not carried
            at_first = "passes its input on at first" if row.stock == INSERTED else "fresh" if fresh else ""
            return [*notes, f"inserted: {at_first}" if at_first else "inserted"]
        if row.params and not carried:
            return [*notes, "another layer than before: fresh" if partner.kind != row.kind else "fresh"]
        other, rest = set(), set()
        for name, value in self._fresh(prefix):
            given = self.theirs.get(self.placement.keys.get(name, ""))
            layer = name.removeprefix(prefix).rpartition(".")[0]
            if given is not None:
                other.add(_change(layer, given, value))
            elif self._host(name) is None:
                rest.add(layer.partition(".")[0])
        notes += [f"{_times(n, b)} fresh" for b, n in Counter(self._block(host) for host in hosts).items()]
        notes += [f"{', '.join(sorted(other))}: other width, fresh"] if other else []
        return [*notes, f"{', '.join(sorted(rest))}: fresh"] if rest else notes

    def _fresh(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        """Parameters of a row that are not the source's."""
        for name, value in self.ours.items():
            if name.startswith(prefix) and not self.carried.get(name) and not self._starts(name):
                yield name, value

    def _fresh_hosts(self, prefix: str) -> set[str]:
        """Hosts in a row whose blocks are fresh in the place of a trained layer."""
        if not self.placement.alignment.source_of(int(prefix.split(".")[1])):
            return set()
        given = self.placement.keys
        return {h for name, _ in self._fresh(prefix) if (h := self._host(name)) and given.get(name) not in self.theirs}

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


def _change(layer: str, given: Tensor, value: Tensor) -> str:
    """`cv3 80 -> 6`: the layer, and the first width in which its tensors differ."""
    differ = [f" {a} -> {b}" for a, b in zip(given.shape, value.shape, strict=False) if a != b]
    return layer.partition(".")[0] + "".join(differ[:1])


def _common_rows(given: Tensor, value: Tensor) -> int:
    """Elements of the rows of `value` that are rows of `given`."""
    if given.shape[1:] != value.shape[1:]:
        return 0
    ours, theirs = value.detach().reshape(len(value), -1), given.detach().to(value).reshape(len(given), -1)
    found = (ours[:, None] == theirs[None]).all(2).any(1)
    return int(found.sum()) * ours.shape[1]
