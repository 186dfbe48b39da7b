"""Networks of model YAMLs without memory, with rows inserted, removed or swapped, for the tests of this folder."""

import copy
from typing import Any

from torch import nn

from yoloplug.bridge.trace import build
from yoloplug.modelfile.file import read

Model = dict[str, Any]


def model(name: str, **changes: Any) -> Model:
    """The dict of a model YAML; changes: of its keys, `nc=3`."""
    return read(name).model | changes


class Network(nn.Module):
    """The rows of a model on the meta device, as Ultralytics' networks hold them."""

    def __init__(self, of: Model) -> None:
        super().__init__()
        self.model, self.yaml = build(of), of


def swapped(of: Model, pairs: dict[str, str], **options: Any) -> Model:
    """Every row of one name becomes a row of another one."""
    made = copy.deepcopy(of)
    for row in (*made["backbone"], *made["head"]):
        if row[2] in pairs:
            row[2] = pairs[row[2]]
            row[3] = [*row[3], *([options] if options else [])]
    return made


def with_row(of: Model, after: int, row: list[Any]) -> Model:
    """A row behind row `after`, which all later rows read in its place."""
    rows = _absolute(of)
    for later in rows[after + 1 :]:
        later[0] = [s + 1 if s >= after else s for s in later[0]]
    rows.insert(after + 1, [[after], *row])
    return _split(of, rows, len(of["backbone"]) + (after < len(of["backbone"])))


def without_row(of: Model, index: int) -> Model:
    """The model without a row of one input; who read it reads its input."""
    rows = _absolute(of)
    (source,) = rows[index][0]
    del rows[index]
    for later in rows[index:]:
        later[0] = [source if s == index else s - (s > index) for s in later[0]]
    return _split(of, rows, len(of["backbone"]) - (index < len(of["backbone"])))


def _absolute(of: Model) -> list[list[Any]]:
    made = []
    for i, (source, *rest) in enumerate(copy.deepcopy([*of["backbone"], *of["head"]])):
        sources = source if isinstance(source, list) else [source]
        made.append([[s + i if s < 0 else s for s in sources], *rest])
    return made


def _split(of: Model, rows: list[list[Any]], backbone: int) -> Model:
    plain = [[source[0] if len(source) == 1 else source, *rest] for source, *rest in rows]
    return of | {"backbone": plain[:backbone], "head": plain[backbone:]}
