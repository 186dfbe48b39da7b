"""A table of epochs is whole, or refused by file and line."""

from pathlib import Path

import pytest

from experiments.cells.epoch_table import read_epochs
from experiments.errors import SpecError

COMMITTED = sorted((Path(__file__).parents[3] / "experiments" / "results").glob("*/cells/*/train/*.csv"))


@pytest.mark.parametrize("path", COMMITTED[::8], ids=lambda path: path.parts[-3])
def test_committed_tables_are_read(path: Path) -> None:
    table = read_epochs(path, "")
    assert len(table) == len(path.read_text().splitlines()) - 1
    assert [row["epoch"] for row in table] == list(range(1, len(table) + 1))


def test_padded_names_empty_cells_and_repeated_epochs(tmp_path: Path) -> None:
    """As older releases write; an empty cell is a figure that the epoch had not."""
    path = tmp_path / "results.csv"
    path.write_text("  epoch, loss,  mAP\n 1, 2e-1,\n 2, nan, 0.5\n 2, inf, 0.6\n")
    first, second, third = read_epochs(path, "")
    assert first == {"epoch": 1, "loss": 0.2} and third == {"epoch": 2, "loss": float("inf"), "mAP": 0.6}
    assert second["loss"] != second["loss"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"is no table of epochs \(.*No such file"),
        (b"", "no column epoch"),
        (b"\x89PNG\r\n\x1a\n", "is no table of epochs"),
        (b"loss,time\n1,2\n", "no column epoch"),
        (b"epoch,loss\n1,0.5\n2,0.", "its last line is cut"),
        (b"epoch,loss\n1,0.5\n2\n", "line 3: 1 values for 2 columns"),
        (b"epoch,loss\n1,0.5,7\n", "line 2: 3 values for 2 columns"),
        (b"epoch,loss\n1,half\n", "line 2: could not convert string to float: 'half'"),
        (b"epoch,loss\n1.5,1\n", "line 2: no whole epoch"),
        (b"epoch,loss\ninf,1\n", "line 2: no whole epoch"),
        (b"epoch,loss\n,1\n", "line 2: no whole epoch"),
        (b"epoch,loss\n1," + b"9" * 200_000 + b"\n", "is no table of epochs"),
    ],
)
def test_damage_is_named(text: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(SpecError, match=rf"results\.csv.*{said}.*; remedy$"):
        read_epochs(path, "remedy")
