"""Drawn photographs of cracks with exact masks: training data that no licence limits, made by our own code alone."""

from segplug.data.drawn.scene import draw_scene
from segplug.data.drawn.write import draw_folder

__all__ = ["draw_folder", "draw_scene"]
