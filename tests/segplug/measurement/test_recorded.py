"""A drawn wall as `segplug measure` tells it, to the last digit: rows, notes, the page's words, the pen's strokes.

Written anew by `pytest --update-recorded`; read the difference before it is committed.
"""

import csv
import html
import io
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segplug.arrays import Pixels
from segplug.measurement import Scale, measure_mask
from segplug.measurement.accuracy.drawn import jagged_crack, straight_crack
from segplug.measurement.accuracy.table import accuracy_table
from segplug.measurement.bias import ModelBias, Ratio
from segplug.measurement.folder import measure_folder
from segplug.measurement.report.page import Report
from segplug.measurement.report.picture import draw_measurement, mask_background
from tests.conftest import Recorded


def wall() -> Pixels:
    """A tree that leaves the picture, a ring with pinholes, dashes, a spall beside a hair, a jagged line, specks."""
    mask = np.zeros((360, 520), dtype=np.uint8)
    for line, width in (
        ([(0, 40), (60, 52), (120, 40), (190, 70), (260, 60)], 5),
        ([(120, 40), (135, 90), (128, 140)], 3),
        ([(135, 90), (180, 118)], 2),
        ([(300, 20), (500, 34)], 1),
    ):
        cv2.polylines(mask, [np.array(line)], False, 1, width)
    cv2.circle(mask, (70, 220), 38, 1, 7)
    cv2.circle(mask, (400, 33), 12, 1, -1)
    mask[218:221, 31:34] = 0
    for left, right, row in ((170, 215, 200), (222, 262, 202), (271, 330, 201), (344, 370, 240)):
        mask[row : row + 3, left:right] = 1
    for drawn, (top, left) in ((jagged_crack(6, 1), (250, 140)), (straight_crack(9, 63, 120), (90, 380))):
        height, width = drawn.mask.shape
        mask[top : top + height, left : left + width] |= drawn.mask.astype(np.uint8)[: 360 - top, : 520 - left]
    mask[330:334, 30:44] = mask[345, 60] = mask[340:352, 80:92] = 1
    return mask


def table(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def test_rows(recorded: Recorded) -> None:
    """Also with every piece by itself, and turned by a quarter."""
    told = []
    for mask, join_px, least in ((wall(), 12, 20), (wall(), 0, 0), (np.ascontiguousarray(wall().T), 30, 5)):
        found = measure_mask(mask, 0.25, least, join_px)
        told += [table([found.row()]), table([crack.row() for crack in found.cracks])]
        lines = [[crack.number, *np.vstack([line[0], line[-1]]).round(1).ravel().tolist()]
                 for crack in found.cracks for line in crack.centre_lines_px]  # fmt: skip
        told.append("".join(f"{line}\n" for line in lines))
    recorded("rows.txt", "\n".join(told))


def test_errors_of_drawn_cracks(recorded: Recorded) -> None:
    recorded("accuracy.md", accuracy_table((2, 5), seeds=1) + "\n")


def test_page_and_notes(tmp_path: Path, recorded: Recorded) -> None:
    """Of a wall, of one without crack, and of what cannot be measured; then of a model whose bias is known."""
    for name, mask in (("wall", wall()), ("bare", wall() * 0), ("small", wall()[200:240, :120])):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), mask * 255)
    (tmp_path / "cut.png").write_bytes((tmp_path / "wall.png").read_bytes()[:90])
    notes: list[str] = []
    measure_folder(tmp_path, tmp_path / "out", Scale(mm_per_px=0.25), note=notes.append)
    measure_folder(tmp_path / "wall.png", tmp_path / "px", Scale(px_only=True), min_length_px=90, note=notes.append)
    ratio = Ratio(1.1, 0.9, 1.4)
    bias = ModelBias("unet (best.ckpt)", "cracks, test", 9, 0.5, ratio, Ratio(1.2, 0.8, 2.0), Ratio(0.9, 0.7, 1.1))
    pages = []
    for scale, known in ((Scale(reference_px=400, reference_mm=100), None), (Scale(px_only=True), bias)):
        report = Report("masks", datetime(2026, 1, 2, 3, 4), scale, 20, 12, known)
        for name, mask in (("wall", wall()), ("bare", wall() * 0), ("thin", wall()[:60, 290:])):
            report.add(name, measure_mask(mask, scale.for_picture(mask.shape[1], mask.shape[0])), "data:,")
        pages.append(words(report.page(["cut.png: damaged"])))
    recorded("page.txt", "\n\n".join([*(note.replace(str(tmp_path), "") for note in notes), *pages]) + "\n")


def words(page: str) -> str:
    body = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", body))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return re.sub(r"yoloplug \S+", "yoloplug VERSION", "\n".join(line for line in lines if line))


def test_strokes(monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> None:
    """What is drawn where, in which colour and how wide; on small pictures, one that is shrunk and a narrow one."""
    drawn: list[str] = []

    many = np.zeros((64, 64), dtype=np.uint8)
    many[8:60:6, 10:50] = 1
    masks = [
        (wall(), 0.25),
        (many, None),
        (np.pad(wall(), ((0, 900), (0, 5700))), 2.0),
        (np.ones((900, 60), np.uint8), 1),
    ]

    def watched(name: str) -> None:
        real = getattr(cv2, name)

        def call(picture: Any, *args: Any, **options: Any) -> Any:
            shown = [_points(arg) if isinstance(arg, list | tuple) and np.size(arg[0]) > 1 else arg for arg in args]
            drawn.append(f"{name} {shown}")
            return real(picture, *args, **options)

        monkeypatch.setattr(cv2, name, call)

    def _points(lines: Any) -> str:
        return f"{len(lines)} of {lines[0].reshape(-1, 2)[[0, -1]].tolist()}"

    for name in ("drawContours", "polylines", "circle", "line", "rectangle", "putText"):
        watched(name)
    for mask, mm_per_px in masks:
        picture = draw_measurement(mask_background(mask), mask, measure_mask(mask, mm_per_px))
        drawn.append(f"{picture.shape} {picture.mean(axis=(0, 1)).round(1).tolist()}")
    recorded("strokes.txt", "\n".join(drawn) + "\n")
