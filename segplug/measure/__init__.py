"""Measure cracks in masks: length, width, orientation, branches; in pixels and, with a scale, in millimetres."""

from segplug.measure.crack import Crack, MaskMeasurement
from segplug.measure.mask import measure_mask
from segplug.measure.scale import Scale

__all__ = ["Crack", "MaskMeasurement", "Scale", "measure_mask"]
