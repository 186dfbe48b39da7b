"""What a report asks of the files that a task's cells keep: two functions of a module."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.cells.row import Row


class ImageSet(Protocol):
    """Scored images of one cell."""

    @property
    def names(self) -> list[str]: ...

    @property
    def groups(self) -> list[str] | None:
        """Each image's photo, where its file says it."""
        ...

    def scores(self, multiplicities: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """(sets, images): how often each set holds each image -> metric -> (sets,)."""
        ...

    def save_compact(self, path: Path) -> None:
        """What scores of the task's metrics need, small enough to be committed. Raises WriteError."""
        ...


class Panels(Protocol):
    """Images of one cell that a report may show. scores: index of the image -> its score; names: of all images."""

    @property
    def names(self) -> list[str]: ...

    @property
    def scores(self) -> dict[int, float]: ...

    def panel(self, index: int, target: bool) -> bytes:
        """JPEG of one image: what is to be found, or the model's predictions as found, missed and false alarm."""
        ...


class Evidence(Protocol):
    """Both take a cell's row and folder; None where the folder lacks a file, SpecError where one is cut."""

    def open_images(self, row: Row, folder: Path, /) -> ImageSet | None: ...

    def open_panels(self, row: Row, folder: Path, /) -> Panels | None: ...
