"""Weights of one network into another one, through Ultralytics' own loading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from yoloplug.bridge.graph import aligned
from yoloplug.bridge.model import task_of
from yoloplug.weights.outcome import Count
from yoloplug.weights.placement import Placement, placement
from yoloplug.weights.table import Transferred


def place(source: Any, target: Any, verbose: bool) -> Transferred:
    """Load `source` into `target` row by row. verbose: Ultralytics says how much it loaded."""
    where = placement(aligned(source, target), source, target)
    renamed = Renamed(source, where)
    target.load(renamed, verbose=verbose)
    by_class = where.keys.keys() - renamed.state.keys()  # Ultralytics takes out what it loads by class names
    starts, refused = {}, {}
    for ours, theirs in where.starts.items():
        try:
            starts[ours] = target.get_submodule(ours).start_as(source.get_submodule(theirs))
        except ValueError as error:
            refused[ours] = str(error)
    found = Count(where, source, target, by_class, starts, refused).outcome()
    file = str(getattr(source, "pt_path", None) or _yaml_file(source))
    return Transferred(found, file, _yaml_file(target), notes=tuple(_notes(source, target)))


def _notes(source: Any, target: Any) -> Iterator[str]:
    """In what the networks differ as wholes."""
    scales = [n.yaml.get("scale") or next(iter(n.yaml.get("scales") or {}), "-") for n in (source, target)]
    if scales[0] != scales[1]:
        yield f"scale {scales[0]} into scale {scales[1]}: only layers of equal shape, nothing is cut"
    tasks = [task_of(network.yaml) for network in (source, target)]
    if tasks[0] != tasks[1]:
        yield f"task {tasks[0]} into {tasks[1]}: of the head what both have"
    classes = [len(getattr(network, "names", ())) for network in (source, target)]
    if classes[0] != classes[1]:
        named = ", but for classes of equal names" if hasattr(target, "_remap_cls_by_names") else ""
        yield f"{classes[0]} classes into {classes[1]}: class layers fresh{named}"


def _yaml_file(network: Any) -> str:
    return str(network.yaml.get("yaml_file") or type(network).__name__)


class Renamed:
    """The trained network, whose state has the changed network's names."""

    def __init__(self, network: Any, where: Placement) -> None:
        self._network, self._where = network, where
        self.state: dict[str, Tensor] = {}

    def float(self) -> Renamed:
        self._network.float()
        return self

    def state_dict(self) -> dict[str, Tensor]:
        self.state = self._where.renamed(self._network.state_dict())
        return self.state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)
