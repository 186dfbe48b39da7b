"""Sample: one labelled photograph, and how its files are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from segplug.arrays import Mask, Pixels
from segplug.data.images.reading import read_picture, visible_pixels
from segplug.data.labels import Label
from segplug.data.labels.mask_file import read_mask
from segplug.errors import SegplugError


@dataclass(frozen=True)
class Sample:
    """One labelled photograph, its `name` unlike any other of the split.

    valid: mask file that is 0 where the label says nothing. group: source photograph, where the data names it.
    """

    name: str
    image: Path
    label: Label
    valid: Path | None = None
    group: str | None = None


class Contents(NamedTuple):
    """image: (H, W, 3) RGB. label: (H, W) values, those of a MaskFile as stored. known: (H, W), None: everywhere."""

    image: Pixels
    label: Pixels
    known: Mask | None


def read_sample(sample: Sample) -> Contents:
    """Raises SegplugError with the file."""
    image, visible = read_picture(sample.image)
    label = sample.label.values(image.shape[0], image.shape[1], sample.image)
    return Contents(image, label, _known(sample, visible, label.shape))


def known_pixels(sample: Sample, shape: tuple[int, ...]) -> Mask | None:
    """(H, W): where the photograph is not transparent and its label counts. None: everywhere."""
    return _known(sample, visible_pixels(sample.image), shape)


def _known(sample: Sample, visible: Mask | None, shape: tuple[int, ...]) -> Mask | None:
    if sample.valid is None:
        return visible
    valid = read_mask(sample.valid) > 0
    if valid.shape != shape:
        raise SegplugError(
            f"{sample.valid}: {valid.shape[1]}x{valid.shape[0]} but its image is {shape[1]}x{shape[0]}; redo it"
        )
    return valid if visible is None else valid & visible
