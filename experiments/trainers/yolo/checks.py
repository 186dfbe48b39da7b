"""Is this a model, are these options, that Ultralytics knows? Asked before hours are spent."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.errors import SpecError
from experiments.spec.spec import Model
from yoloplug.bridge.model import built, task_of
from yoloplug.bridge.training import argument_fault, argument_names, optimizers, quiet
from yoloplug.bridge.yaml_files import known_names, locate
from yoloplug.errors import YoloplugError
from yoloplug.modelfile.file import read
from yoloplug.modelfile.report import validate
from yoloplug.names import choices

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
        raise SpecError(f"{model.label}: a YOLO model has no encoder; write the YAML's name alone")
    _require_yaml(model.model)
    _check_and_build(model.model, task)


def check_options(options: Mapping[str, Any], root: Path) -> None:
    """`train` of the spec holds Ultralytics' own training arguments, less those that the runner sets."""
    names = argument_names()
    for key, value in options.items():
        if key in _OWNED:
            raise SpecError("set by the runner (see models, datasets, seeds, budget, protocol); remove it", (key,))
        if key == "precision":
            raise SpecError("stands in the budget, for all models alike: budget: {precision: bf16}", (key,))
        if key not in names:
            raise SpecError(f"no such training argument{choices(key, names - _OWNED)}", (key,))
        if fault := argument_fault(key, value):
            raise SpecError(fault, (key,))
    name = str(options.get("optimizer", "auto"))
    if name.lower() not in map(str.lower, known := optimizers()):
        raise SpecError(f"Ultralytics has no {name!r}{choices(name, known)}", ("optimizer",))


def _require_yaml(name: str) -> None:
    """Refuse a name that Ultralytics would not find; `yolov8n-x.yaml` is `yolov8-x.yaml` at scale n."""
    try:
        locate(name)
    except YoloplugError as error:
        raise SpecError(f"{name!r} is not a model YAML ({error}){choices(name, _known_yamls(name))}") from error


def _known_yamls(name: str) -> list[str]:
    """Names of Ultralytics' YAMLs and ours, with the scale letter of `name` put in."""
    scale = re.search(r"\d+([nslmx])", name)
    letter = scale.group(1) if scale else "n"
    return [re.sub(r"^(yolo\D*\d+)", rf"\g<1>{letter}", known, count=1) for known in known_names()]


def _check_and_build(name: str, wanted: str) -> None:
    """Every row names a module that there is, the last one is of the wanted task, and the model can be built."""
    file = read(name)
    validate(file)
    task = task_of(file.model)
    if task != wanted:
        must, example = _MUST[wanted]
        raise SpecError(f"{name!r} is a model for the task {task}; here {must}, as {example} does")
    try:
        with quiet():
            built(file.model, task, file.model["nc"])
    except (KeyError, ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        raise SpecError(f"{name!r} cannot be built: {type(error).__name__}: {error}") from error
