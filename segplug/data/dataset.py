"""Labelled photographs as a torch dataset: every sample is read and checked once at the start. Readers find them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from segplug.arrays import Pixels
from segplug.data.finding import some
from segplug.data.images.reading import further_pages
from segplug.data.labels import NO_LABEL
from segplug.data.labels.mask_encoding import MaskRules, Stored, sure_encoding
from segplug.data.labels.mask_file import MaskFile, stored
from segplug.data.sample import Contents, Sample, read_sample
from segplug.errors import SegplugError
from segplug.notes import Note, silent

CACHE_BYTES = 2 << 30

Arrays = tuple[Pixels, Pixels]
Transform = Callable[[Pixels, Pixels, int], Arrays]


class CrackDataset(Dataset[tuple[Tensor, Tensor]]):
    """Samples as (3, H, W) uint8 image and (1, H, W) uint8 mask: 0 background, 1 crack, 255 no label.

    Each is read once in the constructor, so that bad files are refused before training; it stays in memory while
    `cache_bytes` lasts. `note` hears how the mask files are encoded. `transform(image, mask, seed)` gets a seed made of
    `seed`, the epoch and the index, so that an epoch's pictures depend on neither workers nor resumption. Index with i
    (epoch 0) or (epoch, i), see EpochSampler.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        transform: Transform | None = None,
        seed: int = 0,
        note: Note = silent,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        if not samples:
            raise SegplugError("no labelled image left", "check the split")
        self.samples = list(samples)
        self.transform = transform
        self.seed = seed
        read: list[Contents | None] = [None] * len(self.samples)
        files: list[Stored] = []
        with ThreadPoolExecutor(4) as pool:
            for i, (contents, file) in enumerate(pool.map(_read_stored, self.samples)):
                files += [file] if file else []
                size = contents.image.nbytes + contents.label.nbytes
                if size <= cache_bytes:
                    read[i] = contents
                    cache_bytes -= size
        rules = next((p.label.rules for p in self.samples if isinstance(p.label, MaskFile)), MaskRules())
        self._encoding = sure_encoding(files, rules)
        if self._encoding is not None:
            note(f"masks of {len(files)} images: {self._encoding.about}")
        if several := [p for sample in self.samples for p in (sample.image, sample.label.path) if further_pages(p)]:
            note(f"of files with several pages the first is read: {some(several)}")
        self._cache = [contents and self._decoded(i, contents) for i, contents in enumerate(read)]

    def __len__(self) -> int:
        return len(self.samples)

    def arrays(self, index: int) -> Arrays:
        """(H, W, 3) RGB image and (H, W) mask of 0, 1 and 255, in the file's size."""
        cached = self._cache[index]
        return cached if cached is not None else self._decoded(index, read_sample(self.samples[index]))

    def _decoded(self, index: int, contents: Contents) -> Arrays:
        image, mask, known = contents
        sample = self.samples[index]
        if self._encoding is not None and isinstance(sample.label, MaskFile):
            mask = self._encoding.table[mask]
        if known is not None:
            mask = np.where(known, mask, np.uint8(NO_LABEL))
        if (mask == NO_LABEL).all():
            raise SegplugError(f"{sample.label.path}: no pixel has a label", "remove the image or label it")
        return image, mask

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        image, mask = self.arrays(index)
        if self.transform is not None:
            image, mask = self.transform(image, mask, _mix(self.seed, epoch, index))
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), torch.from_numpy(mask)[None]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[i] for i in range(len(self)))


class EpochSampler(Sampler[tuple[int, int]]):
    """Shuffled (epoch, index) keys; the order depends on seed and epoch alone. Lightning calls `set_epoch`.

    Of several ranks each takes every world-th key; the few that do not go round are left out of this epoch.
    """

    def __init__(self, length: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if length < world:
            raise SegplugError(f"{length} training images cannot be shared by {world} devices", "use fewer")
        self.length = length
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length // self.world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        mine = order[self.rank :: self.world][: len(self)]
        return iter([(self.epoch, int(i)) for i in mine])


def _read_stored(sample: Sample) -> tuple[Contents, Stored | None]:
    contents = read_sample(sample)
    return contents, stored(sample.label.path, contents.label) if isinstance(sample.label, MaskFile) else None


def _mix(seed: int, epoch: int, index: int) -> int:
    """One 32-bit seed of three numbers."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1)[0])
