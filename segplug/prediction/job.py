"""What all kinds of sources share: the settings of a prediction and where its results go."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segplug.arrays import Floats, Pixels
from segplug.data.images.region import Region
from segplug.inference.predictor import Predictor
from segplug.inference.tiling import tile_count
from segplug.notes import Note, Progress
from segplug.prediction.sources import Source

SAVED = ("masks", "overlays", "probabilities", "polygons", "coco")
"""What can be saved."""


@dataclass(frozen=True)
class Job:
    """save: some of SAVED. threshold: probability from which a pixel is crack. tile: px. every: frames of a video.

    region: is never crack and counts nowhere.
    """

    predictor: Predictor
    out: Path
    save: tuple[str, ...]
    threshold: float
    tile: int
    every: int
    region: Region
    note: Note

    def path(self, kind: str, source: Source, suffix: str) -> Path | None:
        """Where a result goes, None if it is not asked for."""
        return self.out / kind / f"{source.name}{suffix}" if kind in self.save else None

    def probability(self, image: Pixels, what: str = "") -> Floats:
        """(H, W, 3) -> (H, W). Notes how far it is with `what`, unless empty."""
        if not what:
            return self.predictor(image, self.tile)
        progress = Progress(self.note, tile_count((image.shape[0], image.shape[1]), self.tile), what)

        def network(tile: Pixels) -> Floats:
            found = self.predictor.at_scales(tile)
            progress.tick()
            return found

        return replace(self.predictor, network=network, scales=(1,))(image, self.tile)


@dataclass(frozen=True)
class Result:
    """size: height and width. crack_share: of what counts. files: what was written. annotations: COCO's."""

    source: Source
    size: tuple[int, ...]
    crack_share: float
    files: list[Path]
    annotations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def row(self) -> dict[str, str | float]:
        """Figures for predictions.csv."""
        height, width = self.size
        about: dict[str, str | float] = {"name": self.source.name, "source": self.source.place}
        return {**about, "width": width, "height": height, "crack_share": self.crack_share}
