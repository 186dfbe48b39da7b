"""Crack segmentation: GBC models beside smp's, training, evaluation and prediction. Imports no Ultralytics.

Entry points: `segplug.GBCNet`, `segplug.SCSegamba`, `segplug.create_model(name, …)`,
`segplug.training.run.train(TrainConfig(…))`, `segplug.evaluation.run.evaluate(checkpoint, data)`,
`segplug.prediction.predict(checkpoint, source, out)`, the command `segplug`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segplug.models.create import create_model
    from segplug.models.gbcnet import GBCNet
    from segplug.models.scsegamba import SCSegamba

__all__ = ["GBCNet", "SCSegamba", "create_model"]

_HOMES = {
    "GBCNet": "segplug.models.gbcnet",
    "SCSegamba": "segplug.models.scsegamba",
    "create_model": "segplug.models.create",
}


def __getattr__(name: str) -> Any:
    """Import torch and smp only when a name that needs them is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'segplug' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
