"""Peak memory belongs to one training, not to those before it in the process."""

from pathlib import Path

import numpy as np
import pytest

from yoloplug.cost.machine import PeakMemory


def test_a_new_count_forgets_the_peak_before_it() -> None:
    before = PeakMemory("cpu")
    block = np.ones(40_000_000)  # 320 MB
    high = before.summary()["peak_memory_bytes"]
    assert high > block.nbytes
    del block
    after = PeakMemory("cpu").summary()["peak_memory_bytes"]
    assert high - after > 200_000_000


def test_where_nothing_tells_it_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("yoloplug.cost.machine._RESET", tmp_path / "no" / "clear_refs")
    assert PeakMemory("cpu").summary() == {}
