"""A finished run small enough to be committed: rows, curves and what each image adds to the metrics, no pictures.

The report and its statistics are repeated from such a folder as from the run itself: `python -m experiments keep`.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from experiments.errors import SpecError

COMPACT = "compact.npz"
T = TypeVar("T")


def opened(path: Path, read: Callable[[Path], T], remedy: str = "put the committed file back") -> T:
    """Raises SpecError, ending in `remedy`, on a file that is cut or none of ours."""
    try:
        return read(path)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SpecError(f"{path} is cut or damaged ({error}); {remedy}") from error
