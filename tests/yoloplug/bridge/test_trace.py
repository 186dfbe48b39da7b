"""Rows of a model one by one."""

import pytest

from tests.yoloplug.weights.networks import model
from yoloplug.bridge.trace import RowError, build, trace

ROW = [-1, 1, "nn.Conv2d", [3, 3, 1]]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_row_that_cannot_be_built_is_named_wherever_it_stands(count: int) -> None:
    for broken in range(count):
        rows = [list(ROW) for _ in range(count)]
        rows[broken] = [-1, 1, "nn.Conv2d", [3, 3, 1, 1, 0, 1, 2]]  # two groups of three channels
        with pytest.raises(RowError, match=rf"row {broken}: .*divisible by groups"):
            build({"nc": 1, "backbone": rows[:2], "head": rows[2:]})


@pytest.mark.parametrize("name", ["yolov8n-world.yaml", "yolov8n-worldv2.yaml"])
def test_rows_that_read_the_names_of_classes_are_traced(name: str) -> None:
    yaml = model(name)
    rows, modules = trace(yaml, imgsz=64), [row[2] for row in [*yaml["backbone"], *yaml["head"]]]
    assert len(rows) == len(modules) and {"C2fAttn", "WorldDetect"} <= set(modules)
    assert all(row.flops > 0 for row, module in zip(rows, modules, strict=True) if module in ("C2fAttn", "WorldDetect"))
