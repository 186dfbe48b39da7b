"""`yoloplug.transfer`: a checkpoint of a changed model that starts from a trained one."""

from __future__ import annotations

import copy
import dataclasses
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
import ultralytics

from yoloplug import files
from yoloplug.bridge.graph import aligned, has_rows
from yoloplug.bridge.model import fetched, load, network_class, task_of
from yoloplug.bridge.place import place
from yoloplug.bridge.trace import BUILD_ERRORS, image_channels
from yoloplug.errors import YoloplugError
from yoloplug.modelfile.file import ModelFile, parse, read
from yoloplug.modelfile.report import validate
from yoloplug.weights.align import Alignment
from yoloplug.weights.table import Transferred


def transfer(
    source: str | Path, model: str | Path, output: str | Path | None = None, preserve: bool = False,
    scale: str | None = None, trust: bool = False, force: bool = False,
) -> Transferred:  # fmt: skip
    """Place the weights of a checkpoint into a changed model, row by row, and write a checkpoint to start from.

        print(yoloplug.transfer("yolov8n.pt", "my.yaml", "init.pt", preserve=True))  # then: yolo train model=init.pt

    source: of `yolo train`; a file that Ultralytics offers is downloaded. model: a YAML; without a scale letter in its
    name it is built at the source's scale, or at `scale`. It gets the source's classes; training gives it those of the
    data. preserve: blocks start as the layer in whose place they stand, so that the model computes what the source
    computes. trust: read a checkpoint that names more than layers. force: overwrite `output`.
    Raises YoloplugError, with the remedy.
    """
    if output is not None:
        _check_output(Path(output), force)
    trained = load(fetched(Path(source)), trust)
    if not has_rows(trained):
        raise YoloplugError(f"{source}: a {type(trained).__name__}, which is not made from rows of a model YAML")
    file, notes = _at_scale(str(model), trained, scale)
    yaml = _with_classes(file, trained, notes)
    network = _built(file, yaml, trained)
    if preserve:
        changed = _preserving(yaml, aligned(trained, network), notes)
        network = _built(file, changed, trained)
    done = place(trained, network, verbose=False)
    if output is not None:
        files.write(Path(output), lambda part: torch.save(_checkpoint(network), part))
    notes += [note for note in done.notes if note not in notes]
    return dataclasses.replace(
        done, source=str(source), target=str(model), output=None if output is None else str(output), notes=tuple(notes)
    )


def _check_output(output: Path, force: bool) -> None:
    if output.suffix != ".pt":
        raise YoloplugError(f"{output}: the name of a checkpoint ends in .pt")
    if not output.parent.is_dir():
        raise YoloplugError(f"{output}: there is no folder {output.parent}")
    if output.exists() and not force:
        raise YoloplugError(f"{output} exists; --force overwrites it")


def _at_scale(name: str, trained: Any, scale: str | None) -> tuple[ModelFile, list[str]]:
    """The model file at the scale that is wished, named or the source's, and what is to be said of it."""
    from yoloplug.bridge.yaml_files import locate

    file = read(name)
    scales = list(file.model.get("scales") or {})
    if scale is not None:
        if scale not in scales:
            known = f"it has {', '.join(map(str, scales))}" if scales else "it has no scales"
            raise YoloplugError(f"{name}: no scale {scale!r}; {known}")
        return parse(file.text, name, scale), []
    own = str(trained.yaml.get("scale") or next(iter(trained.yaml.get("scales") or {}), ""))
    if scales and not locate(name)[1] and own in scales:
        return parse(file.text, name, own), [f"built at scale {own}, the source's"] if own != scales[0] else []
    return file, []


def _with_classes(file: ModelFile, trained: Any, notes: list[str]) -> dict[str, Any]:
    """The model's dict with the source's classes and key points, where both are for such."""
    yaml = dict(file.model)
    theirs = trained.yaml
    before, after = task_of(theirs), task_of(yaml)
    same_kind = "classify" not in {before, after} or before == after
    classes = len(getattr(trained, "names", ())) or theirs.get("nc")
    if same_kind and classes and classes != yaml["nc"]:
        notes.append(f"built with the source's {classes} classes; training takes those of its data")
        yaml["nc"] = classes
    if before == after == "pose" and theirs.get("kpt_shape"):
        yaml["kpt_shape"] = theirs["kpt_shape"]
    return yaml


def _built(file: ModelFile, yaml: dict[str, Any], trained: Any) -> Any:
    validate(file)
    channels = int(yaml.get("channels") or yaml.get("ch") or image_channels(trained.yaml))
    try:
        network = network_class(yaml)(copy.deepcopy(yaml), ch=channels, verbose=False)
    except BUILD_ERRORS as error:
        raise YoloplugError(f"{file.name} cannot be built: {' '.join(str(error).split())}") from error
    network.task = task_of(yaml)
    if len(network.names) == len(getattr(trained, "names", ())):
        network.names = dict(trained.names)
    return network


def _preserving(yaml: dict[str, Any], alignment: Alignment, notes: list[str]) -> dict[str, Any]:
    """The dict with `preserve` in every row of ours that stands in a stock row's place, or in none."""
    from yoloplug.hosts import host_names

    ours, made = set(host_names()), []
    for row, (given, n, kind, arguments) in zip(alignment.target, [*yaml["backbone"], *yaml["head"]], strict=True):
        source = alignment.source_of(row.index)
        if kind in ours and (source is None or source.kind not in ours):  # else trained with this block
            has_options = arguments and isinstance(arguments[-1], dict)
            *arguments, options = arguments if has_options else [*arguments, {}]
            arguments.append({"preserve": True if source else "inserted", **options})
        elif source is None and row.params:
            notes.append(f"row {row.index} {row.kind} is inserted and stock: it changes what the model computes")
        made.append([given, n, kind, arguments])
    split = len(yaml["backbone"])
    return {**yaml, "backbone": made[:split], "head": made[split:]}


def _checkpoint(network: Any) -> dict[str, Any]:
    """As `YOLO.save` writes it, but in float32: a start that preserves a function is exact."""
    return {
        "epoch": -1,
        "ema": None,
        "model": network,
        "optimizer": None,
        "train_args": {},
        "date": datetime.now(timezone.utc).isoformat(),
        "version": ultralytics.__version__,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
    }
