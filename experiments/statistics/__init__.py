"""Is a difference real? Intervals over images and seeds, and verdicts, from values and their bootstrap samples."""

from experiments.statistics.compared import CellKey, Sampled, Statistics
from experiments.statistics.interval import Interval, effective_number, image_samples
from experiments.statistics.verdict import BETTER, EQUIVALENT, WORSE, Pair, Verdict, verdicts

__all__ = ["BETTER", "EQUIVALENT", "WORSE", "CellKey", "Interval", "Pair", "Sampled", "Statistics", "Verdict",
           "effective_number", "image_samples", "verdicts"]  # fmt: skip
