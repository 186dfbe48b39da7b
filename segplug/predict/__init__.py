"""Cracks found in photos, videos and georeferenced rasters of any size: `predict(model, sources, out)`.

Nothing here imports torch; `segplug.predictor` does for models that need it.
"""

from __future__ import annotations

from segplug.predict.overlay import draw_overlay
from segplug.predict.run import predict

__all__ = ["draw_overlay", "predict"]
