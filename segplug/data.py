"""Find image/mask pairs in a folder, check them all at the start, and serve them as a torch dataset.

Layouts: DIR/images + DIR/masks; DIR/train/images + DIR/train/masks; DIR/images/train + DIR/masks/train. A pair shares
its file stem. Every refusal names the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from segplug.errors import SegplugError
from segplug.masks import read_image, read_mask

__all__ = ["SPLITS", "CrackDataset", "EpochSampler", "Pair", "by_stem", "find_pairs", "find_splits", "image_files"]

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
CACHE_BYTES = 2 << 30

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]
Transform = Callable[[NDArray[np.uint8], NDArray[np.uint8], int], Arrays]


@dataclass(frozen=True)
class Pair:
    """One labelled photograph. `name` is the shared file stem."""

    name: str
    image: Path
    mask: Path


def image_files(folder: Path) -> list[Path]:
    """Image files directly in `folder`, by name. Hidden files are left out."""
    if not folder.is_dir():
        raise SegplugError(f"{folder}: no such folder")
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith("."))


def find_splits(root: Path) -> dict[str, tuple[Path, Path]]:
    """Split name -> (images folder, masks folder); a folder without splits gives the one entry "all"."""
    if not root.is_dir():
        raise SegplugError(f"{root}: no such data folder")
    splits: dict[str, tuple[Path, Path]] = {}
    for split in SPLITS:
        for images, masks in (
            (root / split / "images", root / split / "masks"),
            (root / "images" / split, root / "masks" / split),
        ):
            if images.is_dir() and split not in splits:
                splits[split] = (images, masks)
    if not splits and (root / "images").is_dir():
        splits["all"] = (root / "images", root / "masks")
    if not splits:
        raise SegplugError(f"{root}: found neither images/ + masks/ nor train/images + train/masks in it")
    return splits


def find_pairs(root: Path, split: str) -> list[Pair]:
    """The pairs of one split, sorted by name. Raises SegplugError on an unknown split, no image, a missing partner."""
    splits = find_splits(root)
    if split not in splits:
        raise SegplugError(f"{root}: no split {split!r}; found: {', '.join(splits)}")
    images_dir, masks_dir = splits[split]
    images, masks = by_stem(image_files(images_dir)), by_stem(image_files(masks_dir))
    if not images:
        raise SegplugError(f"{images_dir}: holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    for stem in images.keys() - masks.keys():
        raise SegplugError(f"{images[stem]}: no mask {stem}.* in {masks_dir}; add it or remove the image")
    for stem in masks.keys() - images.keys():
        raise SegplugError(f"{masks[stem]}: no image {stem}.* in {images_dir}; add it or remove the mask")
    return [Pair(stem, images[stem], masks[stem]) for stem in sorted(images)]


class CrackDataset(Dataset[tuple[Tensor, Tensor]]):
    """Pairs as (3, H, W) uint8 image and (1, H, W) uint8 mask of 0 and 1.

    Every pair is read once in the constructor, so that bad files are refused before training; it stays in memory while
    `cache_bytes` lasts. `transform(image, mask, seed)` gets a seed made of `seed`, the epoch and the index, so that an
    epoch's pictures depend on neither workers nor resumption. Index with i (epoch 0) or (epoch, i), see EpochSampler.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        transform: Transform | None = None,
        seed: int = 0,
        note: Callable[[str], None] = lambda text: None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        if not pairs:
            raise SegplugError("no image/mask pair left; check the split")
        self.pairs = list(pairs)
        self.transform = transform
        self.seed = seed
        self._cache: list[Arrays | None] = [None] * len(self.pairs)
        lossy = 0
        with ThreadPoolExecutor(4) as pool:
            for i, (arrays, was_lossy) in enumerate(pool.map(_read_pair, self.pairs)):
                lossy += was_lossy
                size = arrays[0].nbytes + arrays[1].nbytes
                if size <= cache_bytes:
                    self._cache[i] = arrays
                    cache_bytes -= size
        if lossy:
            note(f"{lossy} of {len(self.pairs)} masks are lossy files with grey artefacts; binarised at 127")

    def __len__(self) -> int:
        return len(self.pairs)

    def arrays(self, index: int) -> Arrays:
        """(H, W, 3) RGB image and (H, W) mask, as in the file."""
        cached = self._cache[index]
        return cached if cached is not None else _read_pair(self.pairs[index])[0]

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        image, mask = self.arrays(index)
        if self.transform is not None:
            image, mask = self.transform(image, mask, _mix(self.seed, epoch, index))
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), torch.from_numpy(mask)[None]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[i] for i in range(len(self)))


class EpochSampler(Sampler[tuple[int, int]]):
    """Shuffled (epoch, index) keys; the order depends on seed and epoch alone. Lightning calls `set_epoch`."""

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        return iter([(self.epoch, int(i)) for i in order])


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """File stem -> file. Raises SegplugError when two files share a stem (a.jpg, a.png): one would hide the other."""
    found: dict[str, Path] = {}
    for file in files:
        if file.stem in found:
            raise SegplugError(f"{file}: same name as {found[file.stem].name}; keep one of them")
        found[file.stem] = file
    return found


def _read_pair(pair: Pair) -> tuple[Arrays, bool]:
    image = read_image(pair.image)
    mask, lossy = read_mask(pair.mask)
    if image.shape[:2] != mask.shape:
        (h, w), (mh, mw) = image.shape[:2], mask.shape
        raise SegplugError(f"{pair.mask}: mask is {mw}x{mh} but {pair.image.name} is {w}x{h}; resize or redo the mask")
    return (image, mask), lossy


def _mix(seed: int, epoch: int, index: int) -> int:
    """One 32-bit seed of three numbers."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1)[0])
