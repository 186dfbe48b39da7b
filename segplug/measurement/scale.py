"""How many millimetres a pixel is, from exactly one of three ways."""

import math
from dataclasses import dataclass

from segplug.errors import SegplugError

SMALLEST, LARGEST = 1e-6, 1e6
"""Millimetres a pixel: a nanometre, a kilometre."""

WAYS = (
    "--mm-per-px; --reference-px with --reference-mm; --focal-mm with --sensor-width-mm and --distance-mm; or --px-only"
)


@dataclass(frozen=True)
class Scale:
    """One way of scaling; the constructor raises SegplugError on none, on two, on half a way, on values not above 0.

    mm_per_px: known. reference_px, reference_mm: the length of one object in the picture and in truth.
    focal_mm, sensor_width_mm, distance_mm: a pinhole camera at right angles to the wall, distance from lens to wall,
    picture not cropped: its longer side is the sensor's width. A 35-mm-equivalent focal length with 36 mm will do.
    px_only: no millimetres.
    """

    mm_per_px: float | None = None
    reference_px: float | None = None
    reference_mm: float | None = None
    focal_mm: float | None = None
    sensor_width_mm: float | None = None
    distance_mm: float | None = None
    px_only: bool = False

    def __post_init__(self) -> None:
        ways = (("mm_per_px",), ("reference_px", "reference_mm"), ("focal_mm", "sensor_width_mm", "distance_mm"))
        for name in sum(ways, ()):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise SegplugError(f"{_flag(name)} must be above 0, got {value}")
        begun = [way for way in ways if any(getattr(self, name) is not None for name in way)]
        if len(begun) + self.px_only == 0:
            raise SegplugError(f"no scale: give one of {WAYS}")
        if len(begun) + self.px_only > 1:
            given = [_flag(way[0]) for way in begun] + ["--px-only"] * self.px_only
            raise SegplugError(f"{len(given)} scales ({', '.join(given)}): keep one of {WAYS}")
        for way in begun:
            missing = [_flag(name) for name in way if getattr(self, name) is None]
            if missing:
                raise SegplugError(f"{_flag(way[0])} and its partners go together; add {', '.join(missing)}")
        if self.focal_mm is None:
            self.for_picture(1, 1)

    def for_picture(self, width_px: int, height_px: int) -> float | None:
        """Millimetres a pixel of a picture of this size; None for px_only. Raises SegplugError when out of range."""
        if self.px_only:
            return None
        if self.mm_per_px is not None:
            return check_scale("--mm-per-px", self.mm_per_px)
        if self.reference_px is not None and self.reference_mm is not None:
            return check_scale("the reference", self.reference_mm / self.reference_px)
        assert self.focal_mm and self.sensor_width_mm and self.distance_mm
        mm_per_px = self.sensor_width_mm / self.focal_mm * self.distance_mm / max(width_px, height_px)
        return check_scale("the camera", mm_per_px)

    def describe(self) -> str:
        """One sentence for the report."""
        if self.px_only:
            return "No scale was given; every value is in pixels."
        if self.mm_per_px is not None:
            return f"Given: {self.mm_per_px:g} mm per pixel."
        if self.reference_px is not None:
            return f"A reference object: {self.reference_px:g} px are {self.reference_mm:g} mm."
        return (
            f"Camera: focal length {self.focal_mm:g} mm, sensor {self.sensor_width_mm:g} mm wide, "
            f"{self.distance_mm:g} mm from the wall, at right angles; the picture's longer side is the sensor's width."
        )


def check_scale(name: str, mm_per_px: float) -> float:
    """`mm_per_px`. Raises SegplugError on what no camera gives."""
    if not SMALLEST <= mm_per_px <= LARGEST:
        raise SegplugError(f"{name}: {mm_per_px:g} mm per pixel; must lie between {SMALLEST:g} and {LARGEST:g}")
    return mm_per_px


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
