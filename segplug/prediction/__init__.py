"""Cracks found in photos, videos and georeferenced rasters of any size: `predict(model, sources, out)`.

Nothing here imports torch; `segplug.inference.predictor` does for models that need it.
"""

from segplug.prediction.run import predict

__all__ = ["predict"]
