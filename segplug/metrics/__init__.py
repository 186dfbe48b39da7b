"""Crack metrics, each exactly as its name says; DEFINITIONS holds them in words, one file a family in code."""

from segplug.metrics.contributions import Contributions
from segplug.metrics.counts import Counts, count, f1, iou_crack, miou, precision, recall
from segplug.metrics.definitions import DEFINITIONS
from segplug.metrics.distance import distance_to_outline, hd95_px
from segplug.metrics.metric_sum import AllMetrics, MetricSum, Row
from segplug.metrics.scs_compat import ScsCounts, saved_prediction, scs_counts, scs_scores, target_in_frame, to_frame
from segplug.metrics.tolerance import TOLERANCES_PX, ToleranceCounts, count_within, f1_tolerance
from segplug.metrics.topology import cldice, count_skeletons

__all__ = [
    "DEFINITIONS",
    "TOLERANCES_PX",
    "AllMetrics",
    "Contributions",
    "Counts",
    "MetricSum",
    "Row",
    "ScsCounts",
    "ToleranceCounts",
    "cldice",
    "count",
    "count_skeletons",
    "count_within",
    "distance_to_outline",
    "f1",
    "f1_tolerance",
    "hd95_px",
    "iou_crack",
    "miou",
    "precision",
    "recall",
    "saved_prediction",
    "scs_counts",
    "scs_scores",
    "target_in_frame",
    "to_frame",
]
