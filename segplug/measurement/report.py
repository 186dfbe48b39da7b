"""The report: one self-contained HTML page with summary, pictures, tables, scale and method."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.data.write_image import encode_picture
from segplug.measurement.crack import Crack, MaskMeasurement
from segplug.measurement.scale import Scale

__all__ = ["Report", "picture_data"]

LONGEST_PX = 1400
ERROR_PX = 0.5
DIAGONAL_ERROR_PX = 0.7
NONE = "&ndash;"
STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:#1c1f23;background:#fff;max-width:1100px;margin:0 auto;padding:1.5rem}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .2rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;overflow-wrap:anywhere}
p{margin:.4rem 0;max-width:75ch;overflow-wrap:anywhere}.quiet,td small{color:#5a6470}td small{display:block}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1.2rem 0}
dl div{border:1px solid #d6dbe1;border-radius:6px;padding:.5rem .8rem}dt{color:#5a6470;font-size:.85rem}
dd{margin:0;font-size:1.35rem;font-weight:600}
dd small{display:block;font-size:.85rem;font-weight:400;overflow-wrap:anywhere}
img{width:100%;height:auto;border:1px solid #d6dbe1}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;margin:.6rem 0}
th,td{padding:.3rem .6rem;border-bottom:1px solid #d6dbe1;text-align:right;vertical-align:top;white-space:nowrap}
th{font-size:.85rem;color:#5a6470;font-weight:600}th:first-child,td:first-child{text-align:left}
.failed{border-left:4px solid #c22;padding-left:.8rem}
@media print{section{break-inside:avoid}body{max-width:none;padding:0}}
"""


def picture_data(picture: NDArray[np.uint8]) -> str:
    """(H, W, 3) RGB -> data URI of a JPEG of at most 1400 px a side."""
    h, w = picture.shape[:2]
    shrink = min(1.0, LONGEST_PX / max(h, w))
    size = (max(1, round(w * shrink)), max(1, round(h * shrink)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    encoded = encode_picture(np.asarray(small), ".jpg", jpeg_quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


class Report:
    """Add each image, then take the page."""

    def __init__(self, source: str, date: datetime, scale: Scale, min_length_px: float) -> None:
        self._source, self._date, self._scale, self._min_length_px = source, date, scale, min_length_px
        self._measured: list[tuple[str, MaskMeasurement]] = []
        self._sections: list[str] = []

    def add(self, name: str, measured: MaskMeasurement, picture: str) -> None:
        """`picture`: data URI."""
        self._measured.append((name, measured))
        cracks = "1 crack" if len(measured.cracks) == 1 else f"{len(measured.cracks)} cracks"
        scale = "" if measured.mm_per_px is None else f", {measured.mm_per_px:.4g} mm per pixel"
        left_out = (
            f" Left out: {measured.left_out} shorter than {self._min_length_px:g} px." if measured.left_out else ""
        )
        table = _table(CRACK_HEAD, [_crack_cells(crack) for crack in measured.cracks]) if measured.cracks else ""
        self._sections.append(
            f"<section id='image-{len(self._measured)}'><h2>{escape(name)}</h2>"
            f"<img src='{picture}' alt='Cracks of {escape(name, quote=True)}, numbered'>"
            f"<p class=quiet>{measured.width_px} by {measured.height_px} px{scale}. {cracks}."
            f"{left_out}</p>{table}</section>"
        )

    def page(self, failed: Sequence[tuple[str, str]], photos_without_mask: Sequence[str] = ()) -> str:
        """The whole HTML document. `failed`: file and reason."""
        when = self._date.strftime("%Y-%m-%d %H:%M")
        several = len(self._measured) > 1
        parts = [
            "<!doctype html><html lang=en><head><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width,initial-scale=1'><title>Crack measurement</title>",
            f"<style>{STYLE}</style></head><body><h1>Crack measurement</h1>",
            f"<p class=quiet>{escape(self._source)} · {when} · segplug {_version()}</p>",
            self._summary(),
            f"<p><b>Scale.</b> {escape(self._scale.describe())}</p>",
            _not_measured(
                [reason for _, reason in failed] + [f"{photo}: has no mask" for photo in photos_without_mask]
            ),
            "<h2>Images</h2>" + _table(IMAGE_HEAD, self._image_rows()) if several else "",
            *self._sections,
            self._method(),
            "</body></html>\n",
        ]
        return "\n".join(part for part in parts if part)

    def _summary(self) -> str:
        masks = [mask for _, mask in self._measured]
        length_px, length_mm = sum(m.length_px for m in masks), [m.length_mm for m in masks]
        boxes = [("Images", str(len(masks)), ""), ("Cracks", str(sum(len(m.cracks) for m in masks)), "")]
        boxes.append(("Total length", *_both(length_px, _total(length_mm), " mm", " px", 0)))
        widest = [(m.widest, name) for name, m in self._measured if m.widest is not None]
        if widest:  # by millimetres where there are some: pictures may differ in scale
            crack, name = max(widest, key=lambda sample: sample[0].max_width_mm or sample[0].max_width_px)
            value, px = _both(crack.max_width_px, crack.max_width_mm, " mm", " px", 2)
            boxes.append(("Widest place", value, f"{px}, crack {crack.number} in {name}".removeprefix(", ")))
        pixels = sum(m.height_px * m.width_px for m in masks)
        if pixels:
            share = 100 * sum(m.crack_pixels for m in masks) / pixels
            boxes.append(("Crack share of area", f"{share:.2f} %", ""))
        cells = [
            f"<div><dt>{t}</dt><dd>{escape(v)}{f'<small>{escape(s)}</small>' if s else ''}</dd></div>"
            for t, v, s in boxes
        ]
        return f"<dl>{''.join(cells)}</dl>"

    def _image_rows(self) -> list[list[str]]:
        rows = []
        for number, (name, m) in enumerate(self._measured, start=1):
            density = NONE if m.density_mm_per_mm2 is None else f"{1000 * m.density_mm_per_mm2:.3g}"
            rows.append(
                [
                    f"<a href='#image-{number}'>{escape(name)}</a>",
                    str(len(m.cracks)),
                    _cell(m.length_px, m.length_mm, 0),
                    _cell(m.mean_width_px, m.mean_width_mm, 2),
                    _cell(m.max_width_px, m.max_width_mm, 2),
                    f"{100 * m.crack_share:.2f} %",
                    density,
                ]
            )
        return rows

    def _method(self) -> str:
        scales = {m.mm_per_px for _, m in self._measured if m.mm_per_px is not None}
        in_mm = f" ({ERROR_PX * min(scales):.2g} mm here)" if len(scales) == 1 else ""
        return (
            "<h2>Method</h2><p>A crack is a connected piece of the mask (8 neighbours). Length: its smoothed centre "
            "line, all branches, end to end. Mean width: area by length, away from ends and junctions. Maximum "
            "width: the widest stretch of about one width, at least 5 px. Orientation: 0° horizontal, 90° vertical, "
            f"45° rising to the right. Pieces shorter than {self._min_length_px:g} px are left out and counted; side "
            "branches shorter than the crack is wide are not counted.</p><p>On drawn cracks 1 to 20 px wide the mean "
            f"width errs by at most {ERROR_PX:g} px{in_mm}, {DIAGONAL_ERROR_PX:g} px at exactly 45°, and the length "
            "by 3 %. Errors of the mask and of the scale come on top.</p>"
        )


CRACK_HEAD = ("Crack", "Length", "Mean width", "Max. width", "Orientation", "Area", "Branches", "Junctions", "Loops")
IMAGE_HEAD = ("Image", "Cracks", "Length", "Mean width", "Max. width", "Crack share", "Density, m/m²")


def _crack_cells(crack: Crack) -> list[str]:
    return [
        str(crack.number),
        _cell(crack.length_px, crack.length_mm, 1),
        _cell(crack.mean_width_px, crack.mean_width_mm, 2),
        _cell(crack.max_width_px, crack.max_width_mm, 2),
        NONE if crack.orientation_deg is None else f"{crack.orientation_deg:.0f}°",
        _cell(crack.area_px, crack.area_mm2, 0, " mm²"),
        str(crack.branches),
        str(crack.junctions),
        str(crack.loops),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`rows` hold HTML."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(px: float | None, mm: float | None, digits: int, unit: str = " mm") -> str:
    if px is None:
        return NONE
    value, small = _both(px, mm, unit, " px", digits)
    return value + (f"<small>{small}</small>" if small else "")


def _both(px: float, mm: float | None, unit: str, px_unit: str, digits: int) -> tuple[str, str]:
    """Millimetres with the pixels below, or the pixels alone."""
    in_px = f"{px:.{min(digits, 1)}f}{px_unit}"
    return (in_px, "") if mm is None else (f"{mm:.{digits}f}{unit}", in_px)


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _not_measured(reasons: Sequence[str]) -> str:
    if not reasons:
        return ""
    items = "".join(f"<p>{escape(reason)}</p>" for reason in reasons)
    return f"<div class=failed><h2>Not measured: {len(reasons)}</h2>{items}</div>"


def _version() -> str:
    try:
        return version("yoloplug")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "(source tree)"
