"""Peak memory belongs to one training, not to those before it in the process."""

import mmap
from pathlib import Path

import numpy as np
import pytest

from yoloplug.cost.machine import PeakMemory


def test_a_new_count_forgets_the_peak_before_it() -> None:
    before = PeakMemory("cpu")
    block = mmap.mmap(-1, 320_000_000)  # not malloc, which may keep what is freed
    np.frombuffer(block, np.uint8)[:] = 1
    high = before.summary()["peak_memory_bytes"]
    assert high > len(block)
    block.close()
    after = PeakMemory("cpu").summary()["peak_memory_bytes"]
    assert high - after > 200_000_000


def test_where_nothing_tells_it_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("yoloplug.cost.machine._RESET", tmp_path / "no" / "clear_refs")
    assert PeakMemory("cpu").summary() == {}
