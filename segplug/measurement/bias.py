"""How far a model's widths and lengths lie from the labels', as `segplug eval` found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from segplug.errors import SegplugError


@dataclass(frozen=True)
class Ratio:
    """Predicted by labelled over images: median, 5th and 95th percentile."""

    median: float
    p5: float
    p95: float

    @property
    def error(self) -> float:
        """How far a value may lie from the truth, as a share of it."""
        return max(abs(self.p95 - 1), abs(self.p5 - 1))


@dataclass(frozen=True)
class ModelBias:
    """`model`: name and file. `scored_on`: data and split."""

    model: str
    scored_on: str
    images: int
    threshold: float
    mean_width: Ratio
    max_width: Ratio
    length: Ratio

    @classmethod
    def read(cls, scores: Path | str) -> ModelBias:
        """From the scores.json that `segplug eval --out` wrote. Raises SegplugError."""
        path = Path(scores)
        if path.is_dir():
            path = path / "scores.json"
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            sizes, source = result["sizes"], result.get("checkpoint") or result["predictions"]
            if not sizes["images"]:
                raise SegplugError(f"{path}: no image there has cracks both labelled and predicted; it tells no bias")
            ratios = [Ratio(**sizes[name]) for name in ("mean_width_px", "max_width_px", "length_px")]
            name = result["model"]["name"] if "model" in result else "predictions"
            scored_on = f"{result['data']}, {result['split']}"
            return cls(f"{name} ({source})", scored_on, sizes["images"], result["threshold"], *ratios)
        except OSError as error:
            raise SegplugError(f"{path}: {error.strerror}; name the scores.json of `segplug eval --out`") from error
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, SegplugError):
                raise
            raise SegplugError(f"{path}: not what `segplug eval --out` of this version writes ({error!r})") from error

    def describe(self) -> str:
        """A paragraph for the report."""
        return (
            f"{self.model} at threshold {self.threshold:g}, on {self.images} images of {self.scored_on}: mean widths "
            f"{_words(self.mean_width)}, maximum widths {_words(self.max_width)}, lengths {_words(self.length)} the "
            "labels'. Nothing here is corrected by it; digits that it makes doubtful are left out."
        )


def _words(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} times (5 to 95 % of the images: {ratio.p5:.2f} to {ratio.p95:.2f})"
