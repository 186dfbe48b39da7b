"""The report: one self-contained HTML page with summary, pictures, tables, scale and method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from segplug.arrays import Pixels
from segplug.data.images.writing import encode_picture
from segplug.draw import shrunk
from segplug.measurement.bias import ModelBias
from segplug.measurement.crack import Crack, MaskMeasurement
from segplug.measurement.scale import Scale
from segplug.page.render import Entry, data_uri, render

LONGEST_PX = 1400
ERROR_PX = 0.5
LENGTH_ERROR = 0.03
DIAGONAL_ERROR_PX = 0.7
MAX_WIDTH_ERROR_PX = 1.5
JAGGED_PERCENT = 9
NONE = Entry("–")  # noqa: RUF001


def picture_data(picture: Pixels) -> str:
    """(H, W, 3) RGB -> data URI of a JPEG of at most 1400 px a side."""
    return data_uri(encode_picture(shrunk(picture, LONGEST_PX), ".jpg", jpeg_quality=85).tobytes(), "jpeg")


@dataclass(frozen=True)
class _Image:
    name: str
    measured: MaskMeasurement
    picture: str
    facts: str
    rows: list[list[Entry]]


class Report:
    """Add each image, then take the page."""

    def __init__(
        self,
        source: str,
        date: datetime,
        scale: Scale,
        min_length_px: float,
        join_px: float,
        bias: ModelBias | None = None,
    ) -> None:
        self._bias = bias
        self._source, self._date, self._scale = source, date, scale
        self._min_length_px, self._join_px = min_length_px, join_px
        self._images: list[_Image] = []
        self._length_error = math.hypot(LENGTH_ERROR, 0.0 if bias is None else bias.length.error)

    def add(self, name: str, measured: MaskMeasurement, picture: str) -> None:
        """`picture`: data URI."""
        cracks = "1 crack" if len(measured.cracks) == 1 else f"{len(measured.cracks)} cracks"
        scale = "" if measured.mm_per_px is None else f", {measured.mm_per_px:.4g} mm per pixel"
        facts = f"{measured.width_px} by {measured.height_px} px{scale}. {cracks}."
        if measured.left_out:
            facts += f" Left out, shorter than {self._min_length_px:g} px: {measured.left_out_in_words()}."
        if gaps := sum(crack.gaps for crack in measured.cracks):
            facts += f" Joined over {gaps} gap{'s' * (gaps > 1)} of at most {self._join_px:g} px."
        rows = [self._crack_row(crack) for crack in measured.cracks]
        self._images.append(_Image(name, measured, picture, facts, rows))

    def page(self, not_measured: Sequence[str]) -> str:
        """The whole HTML document. `not_measured`: a line for each file, with the reason."""
        scales = {image.measured.mm_per_px for image in self._images} - {None}
        return render(
            Path(__file__).with_name("report.html"),
            title="Crack measurement",
            source=self._source,
            date=self._date.strftime("%Y-%m-%d %H:%M"),
            version=_version(),
            totals=self._totals(),
            scale=self._scale.describe(),
            bias=None if self._bias is None else self._bias.describe(),
            not_measured=not_measured,
            image_columns=IMAGE_COLUMNS,
            image_rows=[self._image_row(number, image) for number, image in enumerate(self._images, start=1)],
            crack_columns=CRACK_COLUMNS,
            images=self._images,
            min_length_px=f"{self._min_length_px:g}",
            join_px=f"{self._join_px:g}",
            error_px=ERROR_PX,
            error_in_mm=f" ({ERROR_PX * (scales.pop() or 0):.2g} mm here)" if len(scales) == 1 else "",
            diagonal_error_px=DIAGONAL_ERROR_PX,
            max_width_error_px=MAX_WIDTH_ERROR_PX,
            jagged_percent=JAGGED_PERCENT,
        )

    def _crack_row(self, crack: Crack) -> list[Entry]:
        return [
            Entry(str(crack.number)),
            self._length(crack.length_px, crack.length_mm),
            self._width(crack.mean_width_px, crack.mean_width_mm, "mean_width"),
            self._width(crack.max_width_px, crack.max_width_mm, "max_width"),
            NONE if crack.orientation_deg is None else Entry(f"{crack.orientation_deg:.0f}°"),
            _both(crack.area_px, crack.area_mm2, ERROR_PX * crack.length_px, " mm²"),
            *(Entry(str(count)) for count in (crack.branches, crack.junctions, crack.loops)),
        ]

    def _image_row(self, number: int, image: _Image) -> list[Entry]:
        m = image.measured
        return [
            Entry(image.name, link=f"#image-{number}"),
            Entry(str(len(m.cracks))),
            self._length(m.length_px, m.length_mm),
            self._width(m.mean_width_px, m.mean_width_mm, "mean_width"),
            self._width(m.max_width_px, m.max_width_mm, "max_width"),
            Entry(f"{100 * m.crack_share:.2f} %"),
            self._density(m.density_mm_per_mm2),
        ]

    def _width(self, px: float | None, mm: float | None, which: Literal["mean_width", "max_width"]) -> Entry:
        share = 0.0 if self._bias is None else getattr(self._bias, which).error
        return _both(px, mm, math.hypot(ERROR_PX, share * (px or 0)))

    def _length(self, px: float, mm: float | None) -> Entry:
        return _both(px, mm, self._length_error * px)

    def _density(self, mm_per_mm2: float | None) -> Entry:
        """Metres a square metre, with the digits of a length."""
        density = 1000 * (mm_per_mm2 or 0)
        return NONE if mm_per_mm2 is None else Entry(f"{density:.{_decimals(self._length_error * density)}f}")

    def _totals(self) -> list[dict[str, str]]:
        masks = [image.measured for image in self._images]
        known_mm = [mask.length_mm for mask in masks if mask.length_mm is not None]
        length = self._length(sum(mask.length_px for mask in masks), sum(known_mm) if known_mm else None)
        boxes = [("Images", Entry(str(len(masks)))), ("Cracks", Entry(str(sum(len(mask.cracks) for mask in masks))))]
        boxes.append(("Total length", length))
        widest = [(image.measured.widest, image.name) for image in self._images if image.measured.widest is not None]
        if widest:  # by millimetres where there are some: pictures may differ in scale
            crack, name = max(widest, key=lambda sample: sample[0].max_width_mm or sample[0].max_width_px)
            cell = self._width(crack.max_width_px, crack.max_width_mm, "max_width")
            where = f"crack {crack.number} in {name}"
            boxes.append(("Widest place", Entry(cell.value, f"{cell.small}, {where}" if cell.small else where)))
        if pixels := sum(mask.height_px * mask.width_px for mask in masks):
            share = 100 * sum(mask.crack_pixels for mask in masks) / pixels
            boxes.append(("Crack share of area", Entry(f"{share:.2f} %")))
        return [{"name": name, "value": cell.value, "small": cell.small} for name, cell in boxes]


CRACK_COLUMNS = ("Crack", "Length", "Mean width", "Max. width", "Orientation", "Area", "Branches", "Junctions", "Loops")
IMAGE_COLUMNS = ("Image", "Cracks", "Length", "Mean width", "Max. width", "Crack share", "Density, m/m²")


def _both(px: float | None, mm: float | None, error_px: float, unit: str = " mm") -> Entry:
    """Millimetres with the pixels below, or the pixels alone; no digit that `error_px` makes doubtful."""
    if px is None:
        return NONE
    in_px = f"{px:.{min(1, _decimals(error_px))}f} px"
    return Entry(in_px) if mm is None or not px else Entry(f"{mm:.{_decimals(error_px * mm / px)}f}{unit}", in_px)


def _decimals(error: float) -> int:
    """Places after the point of which the last one is about as large as the error."""
    return min(3, max(0, math.ceil(-math.log10(error)))) if error > 0 else 3


def _version() -> str:
    try:
        return version("yoloplug")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "(source tree)"
