"""A full disk: told from other errors, and answered with one message instead of one failure for every cell."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from experiments.errors import SpecError

_FULL = (errno.ENOSPC, errno.EDQUOT)
# torch.save's RuntimeErrors, without errno, whichever of its writes was the first to fail.
_TORCH_SAYS = ("PytorchStreamWriter failed", "iostream error", "unexpected pos")


class StorageFull(SpecError):
    """No room for results; nothing more is started."""


def is_full(error: BaseException) -> bool:
    """Whether this error, or one that it was raised from, says that storage or quota is used up."""
    return any(
        (isinstance(cause, OSError) and cause.errno in _FULL) or any(text in str(cause) for text in _TORCH_SAYS)
        for cause in _chain(error)
    )


def storage_full(folder: Path, error: BaseException) -> StorageFull:
    """The one message: where, how much is left, what to do."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / 2**20
    return StorageFull(
        f"no space left for {folder} ({free:.0f} MiB free there, or a quota is used up): {error}\n"
        "Finished cells and the epochs of this one are kept. Free some space (a finished cell's train/weights are the "
        "largest files and only `time` reads them) or move the folder, then give the same command again."
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
