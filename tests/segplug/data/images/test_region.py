"""Polygons to leave out: where they come from, what lies in them, and how mistakes are named."""

import json
from pathlib import Path

import numpy as np
import pytest

from segplug.data.images.region import Region
from segplug.errors import SegplugError


def test_corners_come_from_the_text_a_file_or_labelme(tmp_path: Path) -> None:
    (tmp_path / "kerb.txt").write_text("0,6 9,6 9,9 0,9\n\n0,0 1,0 0,1\n")
    shapes = [{"label": "kerb", "points": [[0, 6], [9, 6], [9, 9], [0, 9]]}]
    (tmp_path / "kerb.json").write_text(json.dumps({"shapes": shapes}))
    wanted = np.ones((10, 12), dtype=bool)
    wanted[6:, :10] = False
    for given in ("0,6 9,6 9,9 0,9", str(tmp_path / "kerb.json")):
        assert np.array_equal(Region.parse([given]).kept(10, 12), wanted)
    assert len(Region.parse([str(tmp_path / "kerb.txt"), "0,0 5,0 5,5"]).polygons) == 3
    assert Region.parse([]).kept(3, 4).all()


def test_rows_of_a_strip_are_those_of_the_picture() -> None:
    region = Region.parse(["2,3 30,11 7,39", "0,0 5,0 0,5"])
    whole = region.kept(40, 32)
    strips = np.vstack([region.kept(16, 32, top) for top in (0, 16, 32)])[:40]
    assert np.mean(strips != whole) < 0.02 and 0.2 < whole.mean() < 0.9  # its edge may move by a pixel


@pytest.mark.parametrize(
    "text", ["", "0,0 1,1", "a,b c,d e,f", "0,0 1,1 1e9,0", "0,0 1,nan 2,2", "1,2,3 4,5,6 7,8,9", "no.txt"]
)
def test_what_is_no_polygon_is_named(text: str) -> None:
    with pytest.raises(SegplugError, match="no such file, and no polygon; write at least three corners in pixels"):
        Region.parse([text])


def test_what_is_no_polygon_in_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0,0 1,0 1,1\n0,0\n")
    with pytest.raises(SegplugError, match=r"a\.txt, line 2: no polygon"):
        Region.parse([str(tmp_path / "a.txt")])
    for text in ("{}", "[]", '{"shapes": []}', '{"shapes": [5]}', '{"shapes": [{"points": [[1]]}]}'):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(SegplugError, match=r"a\.json: (no shapes|shape 1: no polygon)"):
            Region.parse([str(tmp_path / "a.json")])
