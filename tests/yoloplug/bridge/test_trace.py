"""Rows of a model one by one."""

import copy

import pytest
import torch
from torch import nn

from tests.yoloplug.weights.networks import Network, model
from yoloplug.bridge.graph import graph_rows
from yoloplug.bridge.trace import (
    RowError,
    _check_sizes,
    _shape_text,
    _shapes,
    build,
    builds,
    run_row,
    sources_of,
    trace,
)

SCALE = {"depth_multiple": 0.33, "width_multiple": 0.25}
ROW = [-1, 1, "nn.Conv2d", [3, 3, 1]]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_row_that_cannot_be_built_is_named_wherever_it_stands(count: int) -> None:
    for broken in range(count):
        rows = [list(ROW) for _ in range(count)]
        assert builds({"nc": 1, "backbone": rows[:2], "head": rows[2:]})
        rows[broken] = [-1, 1, "nn.Conv2d", [3, 3, 1, 1, 0, 1, 2]]  # two groups of three channels
        assert not builds({"nc": 1, "backbone": rows[:2], "head": rows[2:]})
        with pytest.raises(RowError, match=rf"^row {broken}: .*divisible by groups"):
            build({"nc": 1, "backbone": rows[:2], "head": rows[2:]})


def test_file_and_row_are_said_once_and_an_error_without_words_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"nc": 1, "backbone": [[-1, 1, "gnConv", ["wide"]]], "head": []}
    for name in ({}, {"yaml_file": "my.yaml"}):
        with pytest.raises(RowError, match=r"^row 0: gnConv: the first argument is the width"):
            build(wrong | name)

    class Silent(nn.Conv2d):
        def __init__(self, *given: int) -> None:
            raise AssertionError

    class Mute(nn.Identity):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    for name, kind in (("Silent", Silent), ("Mute", Mute)):
        monkeypatch.setattr(nn, name, kind, raising=False)
    with pytest.raises(RowError, match=r"^row 0: AssertionError$"):
        build({"nc": 1, "backbone": [[-1, 1, "nn.Silent", [3, 3, 1]]], "head": []})
    with pytest.raises(RowError, match=r"^row 0: Mute cannot run on 3x64x64 of the image: AssertionError$"):
        trace({"nc": 1, "backbone": [[-1, 1, "nn.Mute", []]], "head": []}, 64)
    with pytest.raises(
        RowError, match=r"^row 0: Conv2d cannot run on 3x64x64 of the image: (?!RuntimeError)\w+ [^\n]*$"
    ):
        trace({"nc": 1, "backbone": [[-1, 1, "nn.Conv2d", [4, 3, 1]]], "head": []}, 64)


@pytest.mark.parametrize("name", ["yolov8n-world.yaml", "yolov8n-worldv2.yaml", "yoloe-v8n.yaml"])
def test_rows_that_read_the_names_of_classes_are_traced(name: str) -> None:
    """For as many names as there are classes, one where no number is said."""
    yaml = model(name)
    rows, modules = trace(yaml, imgsz=64), [row[2] for row in [*yaml["backbone"], *yaml["head"]]]
    assert len(rows) == len(modules)
    one = trace(yaml | {"nc": 1}, imgsz=64)
    readers = {"C2fAttn", "WorldDetect", "YOLOEDetect", "ImagePoolingAttn"} & set(modules)
    assert readers
    for row, other, module in zip(rows, one, modules, strict=True):
        assert row.flops > other.flops > 0 if module in readers else row.flops == other.flops, module
    if "C2fAttn" in modules:
        end = modules.index("C2fAttn") + 1
        part = {"backbone": yaml["backbone"], "head": yaml["head"][: end - len(yaml["backbone"])], **SCALE}
        assert trace(part, imgsz=64) == trace(part | {"nc": 1}, imgsz=64) == one[:end]
    assert all(row.width for row in graph_rows(Network(yaml))[:-1] if row.kind != "ImagePoolingAttn")


def test_nothing_is_logged_and_the_model_stays_as_it_was(log: list[str]) -> None:
    yaml = model("yolov8n.yaml")
    rows = trace(yaml)
    assert rows[0].outputs == ((16, 320, 320),) and yaml == model("yolov8n.yaml") and not log


def test_rows_are_read_by_number_or_from_behind() -> None:
    assert sources_of(5, -1) == (4,) and sources_of(5, 0) == (0,) and sources_of(0, -1) == (-1,)
    assert sources_of(5, [-1, 0, 3, -2]) == (4, 0, 3, 3)


def test_shapes_are_those_of_the_maps_in_an_output() -> None:
    a, b = torch.empty(2, 8, 4, 6), torch.empty(2, 8, 2, 6)
    assert _shapes(a) == ((8, 4, 6),) and _shapes([a, (b,), b]) == _shapes((a, b)) == ((8, 4, 6), (8, 2, 6))
    assert _shapes({"maps": a}) == _shapes(None) == ()
    assert _shape_text((a, b), 0) == "8x4x6 and 8x2x6 of row 0" and _shape_text(a, -1) == "8x4x6 of the image"
    _check_sizes(7, (4, 2), [a, a[:, :3]], 64)
    with pytest.raises(RowError, match=r"^row 7: Concat of maps of different size: 8x4x6 of row 4, 8x2x6 of row 2$"):
        _check_sizes(7, (4, 2), [a, b], 64)


def test_a_row_may_change_its_list_of_inputs() -> None:
    class Head(nn.Module):
        def forward(self, x: list[torch.Tensor]) -> None:
            x[0] = x[0] * 2

    given = [torch.ones(1)]
    run_row(Head(), given, torch.empty(0))
    assert given == [torch.ones(1)]


def test_a_row_with_whole_numbers_among_its_parameters_has_a_shape() -> None:
    class Table(nn.Identity):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.arange(3), requires_grad=False)

    network = Network(model("yolov8n.yaml"))
    table = Table()
    table.f = -1  # type: ignore[assignment]
    network.model.insert(1, table)
    before = copy.deepcopy(network.state_dict())
    assert [row.width for row in graph_rows(network)[:2]] == [16, 16]
    assert network.state_dict().keys() == before.keys() and network.model[1].table.device.type == "cpu"
