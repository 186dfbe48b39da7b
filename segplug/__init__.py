"""Crack segmentation: train, score and use networks on photos of any size, and measure what they find.

    import segplug

    run = segplug.train(segplug.TrainConfig(data="cracks/", epochs=50, out="runs/cracks"))
    scores = segplug.evaluate(run / "best.ckpt", "cracks/")
    probability = segplug.load(run / "best.ckpt")(photo)  # (H, W, 3) uint8 -> (H, W)
    segplug.predict(run / "best.ckpt", "photos/", "found/")
    segplug.measure("found/", "report/", segplug.Scale(mm_per_px=0.3))

The command `segplug` does the same. Importing this package imports no torch, and it never imports Ultralytics.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segplug.errors import SegplugError
    from segplug.evaluation.run import evaluate
    from segplug.inference.predictor import load
    from segplug.measurement.folder import measure_folder as measure
    from segplug.measurement.scale import Scale
    from segplug.models.create import create_model
    from segplug.models.gbcnet import GBCNet
    from segplug.models.scsegamba import SCSegamba
    from segplug.prediction.run import predict
    from segplug.training.config import TrainConfig
    from segplug.training.run import train

    __version__: str

__all__ = [
    "GBCNet",
    "SCSegamba",
    "Scale",
    "SegplugError",
    "TrainConfig",
    "__version__",
    "create_model",
    "evaluate",
    "load",
    "measure",
    "predict",
    "train",
]

_HOMES = {
    "GBCNet": "segplug.models.gbcnet:GBCNet",
    "SCSegamba": "segplug.models.scsegamba:SCSegamba",
    "Scale": "segplug.measurement.scale:Scale",
    "SegplugError": "segplug.errors:SegplugError",
    "TrainConfig": "segplug.training.config:TrainConfig",
    "create_model": "segplug.models.create:create_model",
    "evaluate": "segplug.evaluation.run:evaluate",
    "load": "segplug.inference.predictor:load",
    "measure": "segplug.measurement.folder:measure_folder",
    "predict": "segplug.prediction.run:predict",
    "train": "segplug.training.run:train",
}


def __getattr__(name: str) -> Any:
    """Import what a name needs, torch above all, only when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("yoloplug")
    if name not in _HOMES:
        raise AttributeError(f"module 'segplug' has no attribute {name!r}")
    from pkgutil import resolve_name

    return resolve_name(_HOMES[name])


def __dir__() -> list[str]:
    return __all__
