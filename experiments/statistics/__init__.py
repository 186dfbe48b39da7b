"""Is a difference real? Intervals over images and seeds, and verdicts, from what each image contributes to a metric."""

from experiments.statistics.compared import CLASS_AP, Statistics, row_value
from experiments.statistics.interval import Interval
from experiments.statistics.verdict import Pair, Verdict, verdicts

__all__ = ["CLASS_AP", "Interval", "Pair", "Statistics", "Verdict", "row_value", "verdicts"]
