"""Several data sets as one, each read by its own rules."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor
from torch.utils.data import Dataset

from segplug.data.dataset import Arrays, CrackDataset
from segplug.data.sample import Sample


class MixedDataset(Dataset[tuple[Tensor, Tensor]]):
    """The parts one behind the other; used as a CrackDataset, of which each keeps its masks' encoding."""

    def __init__(self, parts: Sequence[CrackDataset]) -> None:
        self.parts = list(parts)
        self.starts = [0, *accumulate(map(len, self.parts))]

    def __len__(self) -> int:
        return self.starts[-1]

    @property
    def samples(self) -> list[Sample]:
        return [sample for part in self.parts for sample in part.samples]

    def arrays(self, index: int) -> Arrays:
        part, within = self._place(index)
        return part.arrays(within)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        part, within = self._place(index)
        return part[epoch, within]

    def _place(self, index: int) -> tuple[CrackDataset, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self.starts, index) - 1
        return self.parts[number], index - self.starts[number]
