"""Is a difference real? Intervals over images and seeds, and verdicts, from values and their bootstrap samples."""

from experiments.statistics.compared import CellKey, Sampled, Statistics
from experiments.statistics.interval import Interval, image_samples
from experiments.statistics.verdict import Pair, Verdict, verdicts

__all__ = ["CellKey", "Interval", "Pair", "Sampled", "Statistics", "Verdict", "image_samples", "verdicts"]
