"""The folder that pictures of one image go to, each beside its numbers if wished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from yoloplug.look.figures import Scene, draw_bars, draw_heat, draw_maps
from yoloplug.look.offset_figure import draw_offsets
from yoloplug.look.views import View

_DPI = 200


@dataclass
class Album:
    """folder: made when needed. stem: how file names begin. title: how titles begin, what was looked into.

    arrays: write each picture's numbers too, as .npz with the same name; `covers_px` in it are the left, top, right and
    bottom of the rectangle of image pixels that its maps cover. files: what was written.
    """

    folder: Path
    stem: str
    title: str
    scene: Scene
    format: str = "png"
    arrays: bool = False
    files: list[Path] = field(default_factory=list)

    def add_heat(self, heat: Tensor, name: str, title: str) -> None:
        """heat: (H, W) from 0 to 1."""
        heat = heat.cpu()
        self._save(draw_heat(self.scene, heat, f"{self.title} · {title}"), {"heat": heat}, name)

    def add_features(self, features: Tensor, name: str, title: str) -> None:
        """features: (C, H, W), a module's output."""
        features = features.detach().float().cpu()
        maps = {"features": features}
        self._save(draw_maps(self.scene, maps, f"{self.title} · {title} · features"), maps, name)

    def add_view(
        self, view: View, kinds: Sequence[str], name: str, title: str, places: Sequence[tuple[float, float]]
    ) -> None:
        """The pictures of a view among `kinds` (gate, offset). places: x, y in image pixels, for offsets."""
        title = f"{self.title} · {title}"
        if "gate" in kinds and view.maps:
            self._save(draw_maps(self.scene, view.maps, title), view.maps, f"{name}-gate")
        if "gate" in kinds and view.bars:
            self._save(draw_bars(self.scene, view.bars, title), view.bars, f"{name}-bars")
        if "offset" in kinds and view.sampling is not None:
            arrays = {"regular_px": view.sampling.regular, "moved_px": view.sampling.moved}
            arrays |= {} if view.sampling.weights is None else {"modulation": view.sampling.weights}
            self._save(draw_offsets(self.scene, view.sampling, places, title), arrays, f"{name}-offset")

    def _save(self, figure: Figure, arrays: Mapping[str, Tensor], name: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Parentheses and spaces of "block (call 2)" and of class names do not belong in file names.
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        file = self.folder / f"{self.stem}-{safe}.{self.format}"
        figure.savefig(file, dpi=_DPI)
        self.files.append(file)
        if self.arrays:
            numbers: dict[str, Any] = {key.replace(" ", "_"): value.numpy() for key, value in arrays.items()}
            np.savez_compressed(file.with_suffix(".npz"), covers_px=np.array(self.scene.covers), **numbers)
            self.files.append(file.with_suffix(".npz"))
