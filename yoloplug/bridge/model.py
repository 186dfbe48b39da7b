"""Ultralytics' networks for whoever does not want to know Ultralytics: created, built, fused."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import ultralytics
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.nn.modules import Conv

from yoloplug.bridge.checkpoints.description import CheckpointError
from yoloplug.bridge.checkpoints.safe_load import read_checkpoint
from yoloplug.bridge.yaml_files import locate
from yoloplug.errors import YoloplugError
from yoloplug.names import did_you_mean

_TASKS = {
    "classify": "ClassificationModel",
    "depth": "DepthModel",
    "detect": "DetectionModel",
    "obb": "OBBModel",
    "pose": "PoseModel",
    "segment": "SegmentationModel",
    "semantic": "SemanticSegmentationModel",
}
_HEADS = {
    "RTDETRDecoder": "RTDETRDetectionModel",
    "WorldDetect": "WorldModel",
    "YOLOEDetect": "YOLOEModel",
    "YOLOESegment": "YOLOESegModel",
}
"""Heads that have a network class of their own."""


def create(file: str | Path, trust: bool = False) -> Any:
    """`ultralytics.YOLO`, or RTDETR, of a model YAML (random weights) or of a checkpoint.

        yoloplug.create("yolov8n-C2f_gnConv.yaml").train(data="coco8.yaml", epochs=3)

    Code that a checkpoint carries does not run, unless `trust`. Raises YoloplugError: no such file, or no checkpoint.
    """
    path = Path(file)
    if path.suffix == ".pt":
        _must_exist(path)
        if not trust:
            read_checkpoint(path)
    else:
        locate(str(file))
    wrapper = ultralytics.RTDETR if "rtdetr" in path.stem else ultralytics.YOLO
    try:
        model: Any = wrapper(str(file))
    except (AttributeError, EOFError, ImportError, KeyError, RuntimeError, TypeError, UnpicklingError) as error:
        if path.suffix != ".pt":
            raise
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(f"{file}: ultralytics {ultralytics.__version__} does not read it ({reason})") from error
    if type(model.model).__name__.startswith("RTDETR") and not isinstance(model, ultralytics.RTDETR):
        return ultralytics.RTDETR(str(file))
    return model


def load(file: str | Path, trust: bool = False) -> nn.Module:
    """The float32 network behind `create`, on the CPU."""
    network: nn.Module = create(file, trust).model.float().cpu()
    return network


def built(model: Mapping[str, Any], task: str, classes: int, training: Mapping[str, Any] | None = None) -> Any:
    """The network of a model YAML's dict; called with a batch it gives its losses. task: detect or semantic.

    training: Ultralytics' training arguments that the loss reads; its own defaults for the others.
    """
    network: Any = getattr(tasks, _TASKS[task])(dict(model), nc=classes, verbose=False)
    network.args = get_cfg(overrides=dict(training or {}))
    return network


def network_class(model: Mapping[str, Any]) -> Any:
    """The class of Ultralytics that builds a model YAML's dict, by its head."""
    return getattr(tasks, _HEADS.get(model["head"][-1][2]) or _TASKS[task_of(model)])


def fetched(file: Path) -> Path:
    """The file itself, or where it is missing the checkpoint of that name that Ultralytics offers, downloaded."""
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    if file.is_file() or file.name not in GITHUB_ASSETS_NAMES:
        return file
    try:
        found = Path(attempt_download_asset(file))
    except (OSError, RuntimeError, ValueError) as error:
        raise YoloplugError(f"no checkpoint {str(file)!r} here, and no download ({error})") from error
    if not found.is_file():
        raise YoloplugError(f"no checkpoint {str(file)!r} here, and it could not be downloaded")
    return found


def task_of(model: Mapping[str, Any]) -> str:
    """detect, segment, semantic, …: what the last row of a model YAML's dict is for."""
    return str(tasks.guess_model_task(dict(model)) or "detect")  # None of RT-DETR's head


def fused(module: nn.Module) -> nn.Module:
    """A copy in eval mode after stock `model.fuse()`, of a whole model or of any part of one."""

    class Part(tasks.BaseModel):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = copy.deepcopy(module).eval()

        def is_fused(self, *args: Any, **kwargs: Any) -> bool:
            return False

        def info(self, *args: Any, **kwargs: Any) -> None:
            """Nothing to print of a part."""

    ready: nn.Module = Part().fuse().model
    return ready


def plain_conv(c1: int, c2: int, k: int, s: int = 1) -> nn.Module:
    """Ultralytics' own convolution with BatchNorm and activation."""
    conv: nn.Module = Conv(c1, c2, k, s)
    return conv


def _must_exist(path: Path) -> None:
    """Before Ultralytics would try to download a checkpoint."""
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        hint = did_you_mean(str(path), sorted(map(str, folder.glob("*.pt"))))
        raise YoloplugError(f"no checkpoint {str(path)!r}{hint or ' here'}; `yolo train` writes best.pt and last.pt")
