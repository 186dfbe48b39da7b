"""What is known of a crack, and of a mask with all its cracks. Units are in the names."""

from dataclasses import dataclass, field
from typing import Any

from segplug.arrays import Points


class _Scaled:
    """In millimetres what the attribute `source` is in pixels; None where that is None, and without a scale."""

    def __init__(self, source: str, power: int = 1) -> None:
        self.source, self.power = source, power

    def __get__(self, item: Any, owner: type) -> float | None:
        value = getattr(item, self.source)
        return None if value is None or item.mm_per_px is None else value * item.mm_per_px**self.power


@dataclass(frozen=True)
class Crack:
    """One 8-connected piece of a mask, or several in line. The `_mm` values are None without a scale.

    `number` counts from 1, longest first. `length_px`: all branches, end to end. `mean_width_px`: area by length away
    from ends and junctions. `max_width_px`: the widest stretch, which is `max(5 px, mean width)` long and away from
    junctions; bounded by the largest circle in the mask there; its middle lies at `max_width_at_px`, x and y.
    `orientation_deg`: main axis, 0 horizontal, 90 vertical, 45 rising to the right, below 180; None where there is none
    (a ring). `loops`: enclosed pieces of wall. `gaps` between pieces, `gap_px` long in all, count as length. `bbox_px`:
    left, top, width, height. `centre_lines_px`: a branch each, (N, 2) x and y, pixel centres whole numbers.
    """

    number: int
    length_px: float
    mean_width_px: float
    max_width_px: float
    max_width_at_px: tuple[float, float]
    orientation_deg: float | None
    area_px: int
    branches: int
    junctions: int
    ends: int
    loops: int
    bbox_px: tuple[int, int, int, int]
    mm_per_px: float | None = None
    gaps: int = 0
    gap_px: float = 0.0
    centre_lines_px: tuple[Points, ...] = field(default=(), repr=False, compare=False)

    length_mm = _Scaled("length_px")
    mean_width_mm = _Scaled("mean_width_px")
    max_width_mm = _Scaled("max_width_px")
    area_mm2 = _Scaled("area_px", power=2)

    def row(self) -> dict[str, Any]:
        """Rounded, for CSV and JSON; coordinates apart."""
        return {
            "crack": self.number,
            **_lengths(self),
            "max_width_x_px": round(self.max_width_at_px[0], 1),
            "max_width_y_px": round(self.max_width_at_px[1], 1),
            "orientation_deg": None if self.orientation_deg is None else round(self.orientation_deg, 1),
            "area_px": self.area_px,
            "area_mm2": _rounded(self.area_mm2),
            "branches": self.branches,
            "junctions": self.junctions,
            "ends": self.ends,
            "loops": self.loops,
            "gaps": self.gaps,
            "gap_px": round(self.gap_px, 2),
            **dict(zip(("left_px", "top_px", "box_width_px", "box_height_px"), self.bbox_px, strict=True)),
        }


@dataclass(frozen=True)
class MaskMeasurement:
    """All cracks of a mask, longest first; how many pieces were left out for being too short, and their pixels.

    `crack_share` is of all crack pixels, those left out included; lengths, widths and density are of `cracks`.
    """

    height_px: int
    width_px: int
    mm_per_px: float | None
    cracks: tuple[Crack, ...]
    crack_pixels: int
    left_out: int
    left_out_px: int

    length_mm = _Scaled("length_px")
    mean_width_mm = _Scaled("mean_width_px")
    max_width_mm = _Scaled("max_width_px")
    density_mm_per_mm2 = _Scaled("density_px_per_px2", power=-1)

    @property
    def crack_share(self) -> float:
        return self.crack_pixels / (self.height_px * self.width_px)

    def left_out_in_words(self) -> str:
        """ "25 pieces, 1125 px (3.1 % of the crack pixels)"."""
        pieces = "1 piece" if self.left_out == 1 else f"{self.left_out} pieces"
        share = 100 * self.left_out_px / max(1, self.crack_pixels)
        return f"{pieces}, {self.left_out_px} px ({share:.1f} % of the crack pixels)"

    @property
    def length_px(self) -> float:
        return sum(crack.length_px for crack in self.cracks)

    @property
    def mean_width_px(self) -> float | None:
        """Mean over the cracks' length; None without a crack."""
        return sum(c.mean_width_px * c.length_px for c in self.cracks) / self.length_px if self.cracks else None

    @property
    def widest(self) -> Crack | None:
        return max(self.cracks, key=lambda crack: crack.max_width_px, default=None)

    @property
    def max_width_px(self) -> float | None:
        """None without a crack."""
        return None if self.widest is None else self.widest.max_width_px

    @property
    def density_px_per_px2(self) -> float:
        """Crack length by picture area."""
        return self.length_px / (self.height_px * self.width_px)

    def row(self) -> dict[str, Any]:
        """Rounded totals, for CSV and JSON."""
        return {
            "width_px": self.width_px,
            "height_px": self.height_px,
            "mm_per_px": self.mm_per_px,
            "cracks": len(self.cracks),
            "left_out": self.left_out,
            "left_out_px": self.left_out_px,
            **_lengths(self),
            "crack_share": round(self.crack_share, 8),
            "density_px_per_px2": float(f"{self.density_px_per_px2:.4g}"),
            "density_mm_per_mm2": _rounded(self.density_mm_per_mm2),
        }


def _lengths(item: Any) -> dict[str, float | None]:
    """Columns of length, mean and maximum width, in both units."""
    found = {}
    for name in ("length", "mean_width", "max_width"):
        px = getattr(item, f"{name}_px")
        found[f"{name}_px"] = None if px is None else round(px, 2)
        found[f"{name}_mm"] = _rounded(getattr(item, f"{name}_mm"))
    return found


def _rounded(value: float | None) -> float | None:
    """Five figures: more than any photo gives."""
    return None if value is None else float(f"{value:.5g}")
