"""Open one labelled photograph and keep the few numbers that the check needs."""

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from segplug.arrays import Mask, Pixels
from segplug.data.images.reading import orientation
from segplug.data.labels import NO_LABEL
from segplug.data.labels.mask_encoding import Encoding, Stored
from segplug.data.labels.mask_file import MaskFile, stored
from segplug.data.sample import Sample, known_pixels, read_sample
from segplug.errors import SegplugError

HASH_SIDE = 16


@dataclass(frozen=True)
class ImageFacts:
    """One photograph. pixels: hash of its decoded colours. look: (512,) bits, nearly the same for nearly equal photos.

    stored: what its mask file holds, None for other labels. error: why it cannot be used, with the remedy.
    """

    sample: Sample
    split: str
    size: tuple[int, int] = (0, 0)  # width, height
    pixels: str = ""
    look: Mask | None = None
    turned: bool = False
    stored: Stored | None = None
    error: SegplugError | OSError | None = None


@dataclass(frozen=True)
class LabelFacts:
    """One label. crack_share of the labelled pixels; pieces of crack (8 neighbours) and those of a single pixel."""

    crack_share: float
    labelled_share: float
    pieces: int
    specks: int
    mask: str


def image_facts(sample: Sample, split: str) -> ImageFacts:
    """Never raises on a bad file: its error is kept."""
    try:
        image, values, _ = read_sample(sample)
    except (SegplugError, OSError) as error:
        return ImageFacts(sample, split, error=error)
    return ImageFacts(
        sample,
        split,
        size=(image.shape[1], image.shape[0]),
        pixels=_digest(image),
        look=difference_hash(image),
        turned=orientation(sample.image) > 1,
        stored=stored(sample.label.path, values) if isinstance(sample.label, MaskFile) else None,
    )


def label_facts(sample: Sample, height: int, width: int, encoding: Encoding | None) -> LabelFacts:
    """Read the label once more, now that the encoding of all is known."""
    values = sample.label.values(height, width, sample.image)
    mask = encoding.table[values] if encoding is not None and isinstance(sample.label, MaskFile) else values
    known = known_pixels(sample, mask.shape)
    if known is not None:
        mask = np.where(known, mask, np.uint8(NO_LABEL))
    crack, labelled = mask == 1, mask != NO_LABEL
    count, _, stats, _ = cv2.connectedComponentsWithStats(crack.view(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return LabelFacts(
        crack_share=float(crack.sum() / max(1, labelled.sum())),
        labelled_share=float(labelled.mean()),
        pieces=count - 1,
        specks=int((areas == 1).sum()),
        mask=_digest(mask),
    )


def difference_hash(image: Pixels) -> Mask:
    """(512,) bits: which of two neighbours is brighter in a 16 x 16 thumbnail, across and down.

    After Krawetz 2013, "Kind of like that" (hackerfactor.com), there 8 x 8 and across only.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    side = HASH_SIDE + 1
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    across, down = small[:-1, 1:] > small[:-1, :-1], small[1:, :-1] > small[:-1, :-1]
    return np.concatenate([across.ravel(), down.ravel()])


def _digest(pixels: Pixels) -> str:
    return hashlib.sha1(str(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
