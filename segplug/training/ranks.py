"""The processes of one training run (ranks), for code that must also run alone."""

from typing import TypeVar

import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def world() -> int:
    """Number of processes, 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, 0 for the one that writes files."""
    return dist.get_rank() if world() > 1 else 0


def gather(value: T) -> list[T]:
    """Every process's value in order of rank; to be called by all of them. Pickles, so meant for small values."""
    if world() == 1:
        return [value]
    values: list[T] = [value] * world()
    dist.all_gather_object(values, value)
    return values


def any_rank(flag: Tensor) -> bool:
    """Whether the () flag holds on any process; to be called by all of them."""
    flag = flag.float()
    if world() > 1:
        dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)
