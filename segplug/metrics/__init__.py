"""Crack metrics, each exactly as its name says; DEFINITIONS holds them in words, one file a family in code."""

from segplug.metrics.contributions import Contributions as Contributions
from segplug.metrics.counts import Counts as Counts
from segplug.metrics.counts import count as count
from segplug.metrics.counts import f1 as f1
from segplug.metrics.counts import iou_crack as iou_crack
from segplug.metrics.counts import miou as miou
from segplug.metrics.counts import precision as precision
from segplug.metrics.counts import recall as recall
from segplug.metrics.definitions import DEFINITIONS as DEFINITIONS
from segplug.metrics.distance import distance_to_outline as distance_to_outline
from segplug.metrics.distance import hd95_px as hd95_px
from segplug.metrics.metric_sum import AllMetrics as AllMetrics
from segplug.metrics.metric_sum import MetricSum as MetricSum
from segplug.metrics.metric_sum import Row as Row
from segplug.metrics.scs_compat import ScsCounts as ScsCounts
from segplug.metrics.scs_compat import saved_prediction as saved_prediction
from segplug.metrics.scs_compat import scs_counts as scs_counts
from segplug.metrics.scs_compat import scs_scores as scs_scores
from segplug.metrics.scs_compat import target_in_frame as target_in_frame
from segplug.metrics.scs_compat import to_frame as to_frame
from segplug.metrics.tolerance import TOLERANCES_PX as TOLERANCES_PX
from segplug.metrics.tolerance import ToleranceCounts as ToleranceCounts
from segplug.metrics.tolerance import count_within as count_within
from segplug.metrics.tolerance import f1_tolerance as f1_tolerance
from segplug.metrics.topology import cldice as cldice
from segplug.metrics.topology import count_skeletons as count_skeletons
