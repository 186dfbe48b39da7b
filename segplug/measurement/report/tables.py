"""Measurements as CSV and JSON."""

import json
import time
from pathlib import Path
from typing import Any

from segplug.measurement.crack import Crack, MaskMeasurement
from yoloplug import files

CRACK_COLUMNS = ("image", *Crack(1, 1, 1, 1, (0, 0), None, 1, 1, 0, 2, 0, (0, 0, 1, 1)).row())
IMAGE_COLUMNS = ("image", *MaskMeasurement(1, 1, None, (), 0, 0, 0).row())
REST = 20
"""Writing takes at most one part in so many of the time."""


class Tables:
    """out/measurements.csv, a row a crack; out/images.csv, a row an image; out/measurements.json, both and more.

    Give it each of `masks` masks; whatever stops the run, the tables hold what came some seconds before. `about`:
    settings of the run. `measured`: name and result; `failed`: file and reason; `written`: how many of the measured
    are in the files. Methods raise WriteError where one cannot be written, and then all three are as they were.
    """

    def __init__(self, out: Path, about: dict[str, Any], masks: int) -> None:
        self._out, self._about, self._masks = out, about, masks
        self.measured: list[tuple[str, MaskMeasurement]] = []
        self.failed: list[tuple[str, str]] = []
        self.written, self._due = 0, 0.0

    @property
    def not_reached(self) -> int:
        return self._masks - len(self.measured) - len(self.failed)

    def add(self, name: str, mask: MaskMeasurement) -> None:
        self.measured.append((name, mask))
        begin = time.monotonic()
        if begin >= self._due:
            self.write()
            end = time.monotonic()
            self._due = end + REST * (end - begin)

    def fail(self, file: str, reason: str) -> None:
        self.failed.append((file, reason))

    def write(self) -> None:
        """All that was given so far."""
        cracks = [{"image": name, **crack.row()} for name, mask in self.measured for crack in mask.cracks]
        images = [{"image": name, **mask.row()} for name, mask in self.measured]
        nested = [
            {**row, "cracks": [crack.row() for crack in mask.cracks]}
            for row, (_, mask) in zip(images, self.measured, strict=True)
        ]
        problems = [{"file": file, "reason": reason} for file, reason in self.failed]
        document = {**self._about, "images": nested, "failed": problems, "not_reached": self.not_reached}
        texts = {
            "measurements.csv": files.csv_text(CRACK_COLUMNS, cracks),
            "images.csv": files.csv_text(IMAGE_COLUMNS, images),
            "measurements.json": json.dumps(document, indent=2) + "\n",
        }
        files.write_all({self._out / name: text.encode() for name, text in texts.items()})
        self.written = len(self.measured)
