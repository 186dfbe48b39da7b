"""Is a difference real? Intervals over images and seeds, and verdicts, from what each image contributes to a metric."""

from experiments.statistics.compared import Statistics
from experiments.statistics.interval import Interval
from experiments.statistics.verdict import Verdict, verdicts

__all__ = ["Interval", "Statistics", "Verdict", "verdicts"]
