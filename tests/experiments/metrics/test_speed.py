"""The benchmark of AP measures AP: its small form runs and its seeds differ as seeds do."""

from experiments.speed.coco_ap import cell


def test_a_small_cell() -> None:
    first, second = (cell(seed, images=60, draws=50) for seed in (0, 1))
    assert 0.2 < first["ap"] < 0.8 and 0 < first["error"] < 0.2 and first["ap"] != second["ap"]
    assert min(first["matching_s"], first["draws_s"]) > 0
