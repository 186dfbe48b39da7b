"""Loaders of a training run: shuffled crops, whole validation images, each rank its share."""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler

from segplug.data.dataset import EpochSampler
from segplug.data.mixed import MixedDataset
from segplug.training.config import TrainConfig


class ShareSampler(Sampler[int]):
    """Every world-th index from `rank` on; the last round is filled up from the start, so that all ranks take part."""

    def __init__(self, length: int, rank: int, world: int) -> None:
        self.length, self.rank, self.world = length, rank, world

    def __len__(self) -> int:
        return -(-self.length // self.world)

    def __iter__(self) -> Iterator[int]:
        return iter([(k * self.world + self.rank) % self.length for k in range(len(self))])


def train_loader(dataset: MixedDataset, config: TrainConfig, rank: int, pin: bool) -> DataLoader:
    """Batches of crops, in an order that depends on seed and epoch alone."""
    sampler = EpochSampler(len(dataset), config.seed, rank, config.devices)
    return DataLoader(
        dataset,
        batch_size=config.batch,
        sampler=sampler,
        # A last batch of one breaks batch norm on small maps.
        drop_last=len(sampler) > config.batch,
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
        pin_memory=pin,
        generator=torch.Generator(),  # its own, so that loading draws nothing from the model's random numbers
    )


def val_loader(dataset: MixedDataset, config: TrainConfig, rank: int) -> DataLoader:
    """One whole image a batch."""
    sampler = ShareSampler(len(dataset), rank, config.devices)
    return DataLoader(dataset, batch_size=1, sampler=sampler, generator=torch.Generator())
