"""Probability of a large image from overlapping tiles, blended so that no seam shows.

Tiles begin at multiples of ALIGN_PX, where a network of that stride lays its grid in the whole image too. Their weights
fall off to the borders and add up to 1 at each pixel.
"""

from collections.abc import Callable, Iterator

import numpy as np

from segplug.arrays import Floats, Pixels, Points
from segplug.errors import SegplugError

ALIGN_PX = 32
OVERLAP = 128
"""Pixels that neighbouring tiles share at least."""
LARGEST_TILE_PX = 65536

ProbabilityOf = Callable[[Pixels], Floats]


def tiled_probability(image: Pixels, probability_of: ProbabilityOf, tile: int, overlap: int = OVERLAP) -> Floats:
    """(H, W, 3) -> (H, W). An image that fits into one tile is predicted whole."""
    h, w = image.shape[:2]
    if h <= tile and w <= tile:
        return probability_of(image)

    def read(top: int, left: int, height: int, width: int) -> Pixels:
        return image[top : top + height, left : left + width]

    return np.concatenate(list(probability_strips(read, (h, w), probability_of, tile, overlap)))


def probability_strips(
    read: Callable[[int, int, int, int], Pixels | None],
    size: tuple[int, int],
    probability_of: ProbabilityOf,
    tile: int,
    overlap: int = OVERLAP,
) -> Iterator[Floats]:
    """(rows, W) strips from the top, together (H, W); memory is that of one row of tiles.

    read(top, left, height, width) gives a tile's pixels, None where there is nothing to predict (probability 0).
    """
    height, width = size
    down, across = _spans(height, tile, overlap), _spans(width, tile, overlap)
    carried = np.zeros((0, width), dtype=np.float32)
    for i, (top, fall) in enumerate(down):
        strip = np.zeros((len(fall), width), dtype=np.float32)
        strip[: len(carried)] = carried
        for left, slope in across:
            part = read(top, left, len(fall), len(slope))
            if part is not None:
                strip[:, left : left + len(slope)] += np.multiply.outer(fall, slope) * probability_of(part)
        finished = (down[i + 1][0] if i + 1 < len(down) else height) - top
        yield strip[:finished]
        carried = strip[finished:]


def check_tile(tile: int) -> None:
    """Raise SegplugError unless tiles of that side can overlap, and one fits into memory."""
    if not 2 * OVERLAP <= tile <= LARGEST_TILE_PX:
        raise SegplugError(f"tile must lie between {2 * OVERLAP} and {LARGEST_TILE_PX} px, got {tile}", key=("tile",))


def tile_count(size: tuple[int, int], tile: int, overlap: int = OVERLAP) -> int:
    """Tiles that an image of (height, width) is cut into."""
    return len(_starts(size[0], tile, overlap)) * len(_starts(size[1], tile, overlap))


def _spans(length: int, tile: int, overlap: int) -> list[tuple[int, Floats]]:
    """First pixel and weights of each tile along one axis."""
    spans = [(start, _ramp(min(tile, length - start), overlap)) for start in _starts(length, tile, overlap)]
    total = np.zeros(length)
    for start, ramp in spans:
        total[start : start + len(ramp)] += ramp
    return [(start, (ramp / total[start : start + len(ramp)]).astype(np.float32)) for start, ramp in spans]


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    """Multiples of ALIGN_PX, evenly spread; the last tile ends at the border and may be up to ALIGN_PX - 1 shorter."""
    if not 0 <= overlap <= tile - ALIGN_PX:
        raise ValueError(f"overlap must be at least 0 and {ALIGN_PX} below the tile's {tile} px, got {overlap}")
    last = max(0, -(-(length - tile) // ALIGN_PX))
    gaps = -(-last // ((tile - overlap) // ALIGN_PX))
    return [ALIGN_PX * (i * last // max(gaps, 1)) for i in range(gaps + 1)]


def _ramp(length: int, overlap: int) -> Points:
    """1 inside, falling over the middle half of `overlap` at both ends; in the last quarter next to nothing.

    There zero padding misleads a network. Not 0: where no other tile is, at the image's border, it counts in full.
    """
    margin = overlap // 4
    from_border = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    return ((from_border - margin) / (overlap - 2 * margin + 1)).clip(1e-6, 1)
