"""Rows of a model one by one."""

import pytest

from yoloplug.bridge.trace import RowError, build

ROW = [-1, 1, "nn.Conv2d", [3, 3, 1]]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_row_that_cannot_be_built_is_named_wherever_it_stands(count: int) -> None:
    for broken in range(count):
        rows = [list(ROW) for _ in range(count)]
        rows[broken] = [-1, 1, "nn.Conv2d", [3, 3, 1, 1, 0, 1, 2]]  # two groups of three channels
        with pytest.raises(RowError, match=rf"row {broken}: .*divisible by groups"):
            build({"nc": 1, "backbone": rows[:2], "head": rows[2:]})
