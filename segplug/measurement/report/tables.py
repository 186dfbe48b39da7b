"""Measurements as CSV and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segplug.measurement.crack import Crack, MaskMeasurement
from yoloplug import files

__all__ = ["write_tables"]

Measured = Sequence[tuple[str, MaskMeasurement]]
CRACK_COLUMNS = ("image", *Crack(1, 1, 1, 1, (0, 0), None, 1, 1, 0, 2, 0, (0, 0, 1, 1)).row())
IMAGE_COLUMNS = ("image", *MaskMeasurement(1, 1, None, (), 0, 0, 0).row())


def write_tables(measured: Measured, failed: Sequence[tuple[str, str]], about: dict[str, Any], out: Path) -> None:
    """out/measurements.csv, a row a crack; out/images.csv, a row an image; out/measurements.json, both and more.

    `failed`: file and reason. `about`: settings of the run. Raises WriteError when a file cannot be written.
    """
    cracks = [{"image": name, **crack.row()} for name, mask in measured for crack in mask.cracks]
    images = [{"image": name, **mask.row()} for name, mask in measured]
    files.write_csv(out / "measurements.csv", CRACK_COLUMNS, cracks)
    files.write_csv(out / "images.csv", IMAGE_COLUMNS, images)
    nested = [
        {**row, "cracks": [crack.row() for crack in mask.cracks]}
        for row, (_, mask) in zip(images, measured, strict=True)
    ]
    problems = [{"file": file, "reason": reason} for file, reason in failed]
    files.write_json(out / "measurements.json", {**about, "images": nested, "failed": problems})
