"""How far measured width and length lie from those of drawn cracks, 1 to 20 px wide.

Drawing a crack as pixels changes it: `mask_width_px` is what the mask's own area by the true length is off, which no
measurement can know. Along an exact diagonal it reaches 0.7 px.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segplug.measurement.accuracy.drawn import (
    DrawnCrack,
    arc_crack,
    jagged_crack,
    sine_crack,
    straight_crack,
    uneven_cracks,
)
from segplug.measurement.mask import measure_mask
from segplug.notes import Note, silent

ANGLES_DEG = (0, 1, 3, 7, 11, 15, 20, 26.6, 30, 37, 45, 52, 60, 68, 75, 83, 90, 113, 135, 150, 171)
UNEVEN_ANGLES_DEG = (0, 20, 45, 75)
WIDTHS_PX = tuple(range(1, 21))
MIN_UNEVEN_PX = 8


@dataclass(frozen=True)
class Errors:
    """Measured less true, of one drawn crack; `mask_width_px`: area of the mask by true length, less true width.

    Of an uneven crack only the maximum width is known, of a jagged one only the length.
    """

    shape: str
    max_width_px: float | None = None
    mean_width_px: float | None = None
    mask_width_px: float | None = None
    length_percent: float | None = None


def drawn_cracks(width_px: float, seed: int) -> Iterator[tuple[str, DrawnCrack]]:
    """The shape's name and the crack: straight at 21 angles, arcs of three radii, four sine waves.

    Exact diagonals are named apart: their pixels come in rows 0.71 px apart, one row more or less by chance, so that
    cracks up to 1.4 px apart in width give the same mask. A quarter of a degree aside the rows change along the crack.
    """
    for angle in ANGLES_DEG:
        yield "exact diagonal" if angle in (45, 135) else "straight", straight_crack(width_px, angle, seed=seed)
    for radius in (40, 80, 160):
        yield "arc", arc_crack(width_px, radius, sweep_deg=150, seed=seed)
    for amplitude, wave, angle in ((8, 80, 0), (15, 120, 20), (30, 200, 45), (30, 160, 70)):
        yield "sine", sine_crack(width_px, amplitude, wave, angle_deg=angle, seed=seed)


def errors_of(shape: str, drawn: DrawnCrack) -> Errors:
    """Of the one crack in `drawn`."""
    (crack,) = measure_mask(drawn.mask, min_length_px=0).cracks
    return Errors(
        shape,
        crack.max_width_px - drawn.width_px,
        crack.mean_width_px - drawn.width_px,
        drawn.mask.sum() / drawn.length_px - drawn.width_px,
        100 * (crack.length_px / drawn.length_px - 1),
    )


def uneven_errors(max_width_px: float, seed: int) -> Iterator[Errors]:
    """Of cracks that are wide at one place only."""
    for angle in UNEVEN_ANGLES_DEG:
        for shape, mask in uneven_cracks(max_width_px, angle, seed):
            widest = measure_mask(mask, min_length_px=0).widest
            assert widest is not None
            yield Errors(shape, widest.max_width_px - max_width_px)


def jagged_errors(width_px: float, seed: int) -> Errors:
    """Of a crack with corners, whose centre line a mask of this width shortens."""
    drawn = jagged_crack(width_px, seed)
    found = measure_mask(drawn.mask, min_length_px=0)
    return Errors("jagged", length_percent=100 * (found.length_px / drawn.length_px - 1))


def accuracy_table(widths_px: Sequence[int] = WIDTHS_PX, seeds: int = 2, note: Note = silent) -> str:
    """Mean size of the error, and the worst one, for every width and for every shape; uneven ones twice as wide."""
    found: list[tuple[int, Errors]] = []
    uneven: list[Errors] = []
    for width in widths_px:
        for seed in range(seeds):
            found += [(width, errors_of(shape, drawn)) for shape, drawn in drawn_cracks(width, seed)]
            uneven.append(jagged_errors(width, seed))
            uneven += list(uneven_errors(2 * width, seed)) if 2 * width >= MIN_UNEVEN_PX else []
        note(f"width {width} px: done")
    heads = ("mean width, px", "the mask's own share, px", "max. width, px", "length, %")
    lines = [f"| drawn | cracks | {' | '.join(f'{head}: mean, worst' for head in heads)} |", "|---" * 6 + "|"]
    for width in widths_px:
        lines.append(_line(f"{width} px wide", [e for w, e in found if w == width]))
    for shape in dict.fromkeys(e.shape for _, e in found):
        lines.append(_line(shape, [e for _, e in found if e.shape == shape]))
    lines.append(_line("all", [e for _, e in found]))
    for shape in dict.fromkeys(e.shape for e in uneven):
        lines.append(_line(shape, [e for e in uneven if e.shape == shape]))
    return "\n".join(lines)


def _line(name: str, errors: Sequence[Errors]) -> str:
    cells = []
    for part in ("mean_width_px", "mask_width_px", "max_width_px", "length_percent"):
        sizes = [abs(value) for e in errors if (value := getattr(e, part)) is not None]
        cells.append(f"{sum(sizes) / len(sizes):.2f}, {max(sizes):.2f}" if sizes else "–")  # noqa: RUF001
    return f"| {name} | {len(errors)} | {' | '.join(cells)} |"
