"""Is this a model, are these options, that Ultralytics knows? Asked before hours are spent. And its output, tamed."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.spec.spec import Model
from experiments.spec.strict import SpecError, nearest
from yoloplug.bridge.yaml_files import find, model_yamls  # importing yoloplug makes its names known to Ultralytics
from yoloplug.modelfile.check import validate
from yoloplug.modelfile.file import ModelFileError, read

__all__ = ["check_options", "check_yolo", "quiet"]

# What the runner itself decides; a spec that set these under `train` would say one thing and do another.
_OWNED = {"model", "data", "epochs", "imgsz", "batch", "device", "workers", "seed", "project", "name", "exist_ok"} | {
    "resume", "pretrained", "deterministic", "plots", "save", "task", "mode", "save_dir", "val", "verbose",
    "patience", "time", "fraction", "classes", "single_cls", "split", "conf", "iou", "max_det", "cfg",
}  # fmt: skip

# Ultralytics' task -> what its last row must do, and an example.
_MUST = {
    "detect": ("it must detect boxes", "yolov8n.yaml"),
    "semantic": ("it must give a class to every pixel", "yolo26n-sem.yaml"),
}


def check_yolo(model: Model, task: str) -> None:
    """Build the model once, so that a wrong name or block is found before hours are spent. task: Ultralytics' name."""
    if model.encoder or model.encoder_weights:
        raise SpecError(f"models: {model.label}: a YOLO model has no encoder; write the YAML's name alone")
    if not model.is_yolo:
        raise SpecError(f"models: {model.model!r} must be a model YAML (trained from scratch), such as yolov8n.yaml")
    _require_yaml(model.model)
    _check_rows(model.model, task)
    _build(model.model, task)


def check_options(options: dict[str, Any]) -> None:
    """`train` of the spec holds Ultralytics' own training arguments, less those that the runner sets."""
    from ultralytics.cfg import check_cfg
    from ultralytics.utils import DEFAULT_CFG_DICT

    for key, value in options.items():
        if key in _OWNED:
            raise SpecError(
                f"train.{key}: set by the runner (see models, datasets, seeds, budget, protocol); remove it"
            )
        if key not in DEFAULT_CFG_DICT:
            raise SpecError(f"train.{key}: no such training argument{nearest(key, set(DEFAULT_CFG_DICT) - _OWNED)}")
        try:
            check_cfg({key: value})
        except (TypeError, ValueError) as error:
            raise SpecError(f"train.{key}: {str(error).splitlines()[0]}") from error
    if "optimizer" in options:
        _check_optimizer(str(options["optimizer"]))


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings only: its tables and bars would drown the runner's line per epoch."""
    from ultralytics.utils import LOGGER

    level = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(level)


def _check_optimizer(name: str) -> None:
    """Ultralytics lists its optimizers only where it refuses one, after training has begun; so it is made to refuse."""
    from torch import nn
    from ultralytics.engine.trainer import BaseTrainer

    try:
        BaseTrainer.__new__(BaseTrainer).build_optimizer(nn.Identity(), "?")
    except NotImplementedError as error:
        listed = re.search(r"available optimizers\s+[\[{](.*?)[\]}]", str(error))
        known = re.findall(r"\w+", listed[1]) if listed else [name]
        if name.lower() not in map(str.lower, known):
            raise SpecError(f"train.optimizer: Ultralytics has no {name!r}{nearest(name, known)}") from error


def _require_yaml(name: str) -> None:
    """Refuse a name that Ultralytics would not find; `yolov8n-x.yaml` is `yolov8-x.yaml` at scale n."""
    from ultralytics.utils.checks import check_yaml

    unscaled = re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", Path(name).name)
    if find(name):
        return
    for candidate in (name, str(Path(name).with_name(unscaled))):
        try:
            if check_yaml(candidate, hard=False):
                return
        except FileNotFoundError as error:  # several files of that name
            raise SpecError(f"models: {name!r}: {error}") from error
    raise SpecError(f"models: {name!r} is not a model YAML{nearest(name, _known_yamls(name))}")


def _known_yamls(name: str) -> list[str]:
    """Names of Ultralytics' YAMLs and ours, with the scale letter of `name` put in."""
    import ultralytics

    scale = re.search(r"\d+([nslmx])", name)
    letter = scale.group(1) if scale else "n"
    stock = Path(str(ultralytics.__file__)).parent / "cfg" / "models"
    names = {path.name for path in stock.rglob("*.yaml")} | set(model_yamls())
    return [re.sub(r"^(yolo\D*\d+)", rf"\g<1>{letter}", known, count=1) for known in names]


def _check_rows(name: str, wanted: str) -> None:
    """Every row names a module that there is, and the last one is of the wanted task."""
    from ultralytics.nn.tasks import guess_model_task

    try:
        file = read(name)
        validate(file)
    except ModelFileError as error:
        raise SpecError(f"models: {error}") from error
    task = guess_model_task(file.model)
    if task != wanted:
        must, example = _MUST[wanted]
        raise SpecError(f"models: {name!r} is a model for the task {task}; here {must}, as {example} does")


def _build(name: str, task: str) -> None:
    from ultralytics import YOLO

    with quiet():
        try:
            YOLO(name, task=task)
        except (KeyError, ValueError, TypeError, RuntimeError, NotImplementedError) as error:
            raise SpecError(f"models: {name!r} cannot be built: {type(error).__name__}: {error}") from error
