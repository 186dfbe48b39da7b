"""Measure cracks in masks: length, width, orientation, branches; in pixels and, with a scale, in millimetres."""

from segplug.measurement.crack import Crack, MaskMeasurement
from segplug.measurement.mask import measure_mask
from segplug.measurement.scale import Scale

__all__ = ["Crack", "MaskMeasurement", "Scale", "measure_mask"]
