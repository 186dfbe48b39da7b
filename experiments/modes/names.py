"""Every name that a row may carry, in every family and task: builds, learns one step, fuses, exports.

Many names are tried in one model, as rows inserted one after the other; only where that fails they are tried in halves,
down to the one that fails.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

import yoloplug
from experiments.modes.cells import Row, ran
from experiments.modes.place import IMGSZ
from yoloplug.bridge.yaml_files import known_names
from yoloplug.modelfile.file import ModelFile, edited, read
from yoloplug.modelfile.insertion import planned
from yoloplug.modelfile.report import traced

FAMILIES = {"v8": "yolov8n", "11": "yolo11n", "12": "yolo12n", "26": "yolo26n", "RT-DETR": "rtdetr-l"}
TASKS = {"detect": "", "segment": "-seg", "pose": "-pose", "obb": "-obb", "classify": "-cls", "semantic": "-sem"}
GROUP = 24

_FILES = {
    (family, task): f"{model}{suffix}.yaml" for family, model in FAMILIES.items() for task, suffix in TASKS.items()
}
CASES = {case: file for case, file in _FILES.items() if file.replace("n-", "-").replace("n.", ".") in known_names()}
"""(family, task) -> the stock model."""

MISSING = [case for case in _FILES if case not in CASES]
"""Families that have no model of a task."""


def row_names() -> list[str]:
    """Of all blocks, in all hosts."""
    return [name for block in yoloplug.BLOCKS.values() for name in block.hosts]


def outcomes(case: tuple[str, str], names: Sequence[str], folder: Path) -> Iterator[tuple[str, Row]]:
    """(name, its outcome); a group that passes is an outcome for each of its names."""
    file = read(CASES[case])
    traces = traced(file, file.model, IMGSZ)
    groups = [list(names[i : i + GROUP]) for i in range(0, len(names), GROUP)]
    while groups:
        group = groups.pop(0)
        found = ran(partial(_tried, case, file, traces, group), folder)
        if not found["failed"] or len(group) == 1:
            yield from ((name, found | {"together": len(group)}) for name in group)
        else:
            middle = len(group) // 2
            groups[:0] = [group[:middle], group[middle:]]


def _tried(
    case: tuple[str, str], file: ModelFile, traces: list[Any], names: Sequence[str], stage: Callable[[str], None]
) -> None:
    stage("builds")
    torch.manual_seed(0)
    part = "head" if case[0] == "RT-DETR" else "backbone"  # RT-DETR's backbone is 1024 channels wide there
    plan = planned(file, traces, [(name, "P4") for name in names], part, IMGSZ)
    written = Path(f"{file.name.removesuffix('.yaml')}-x.yaml")
    written.write_text(edited(file.text, plan.edits(file)), encoding="utf-8")
    model = yoloplug.create(written)
    network = model.model
    ours = [network.model[i] for i in plan.added]
    if [type(m).__name__ for m in ours] != list(names):
        raise LookupError(f"built {[type(m).__name__ for m in ours]}")
    stage("one step")
    network.args, network.nc = SimpleNamespace(**network.args), network.yaml["nc"]  # a trainer sets both
    network.train()
    loss, _ = network.loss(_batch(case[1]))
    loss.sum().backward()
    for name, module in zip(names, ours, strict=True):
        gradients = [p.grad for p in module.parameters() if p.requires_grad]
        if any(g is None or not torch.isfinite(g).all() for g in gradients):
            raise FloatingPointError(f"{name}: a gradient is missing or no number")
    torch.optim.SGD(network.parameters(), lr=1e-4).step()
    stage("fuses")
    network.args = vars(network.args)
    network.eval()
    x = torch.rand(1, 3, IMGSZ, IMGSZ)
    with torch.inference_mode():
        before = _first(network(x))
        after = _first(copy.deepcopy(network).fuse(verbose=False)(x))
    if not torch.isfinite(after).all() or (after - before).abs().max() > 1e-3 * before.abs().max():
        raise AssertionError(f"outputs differ by {float((after - before).abs().max() / before.abs().max()):.2g}")
    stage("exports")
    jit: Any = torch.jit
    exported = jit.load(model.export(format="torchscript", imgsz=IMGSZ, device="cpu", verbose=False))
    if not torch.isfinite(_first(exported(x))).all():
        raise FloatingPointError("outputs of the TorchScript file")


def _first(outputs: Any) -> torch.Tensor:
    while not isinstance(outputs, torch.Tensor):
        outputs = outputs[0]
    return outputs


def _batch(task: str) -> dict[str, Any]:
    """Two random images with one object each, as the task's own data loader gives them."""
    batch: dict[str, Any] = {"img": torch.rand(2, 3, IMGSZ, IMGSZ)}
    if task == "classify":
        return batch | {"cls": torch.tensor([0, 1])}
    if task == "semantic":
        return batch | {"semantic_mask": torch.randint(0, 3, (2, IMGSZ, IMGSZ))}
    boxes = torch.tensor([[0.5, 0.5, 0.4, 0.4, 0.3], [0.4, 0.6, 0.3, 0.3, 0.1]])[:, : 4 + (task == "obb")]
    batch |= {"batch_idx": torch.tensor([0.0, 1.0]), "cls": torch.zeros(2, 1), "bboxes": boxes}
    if task == "segment":
        batch["masks"] = torch.ones(2, IMGSZ // 4, IMGSZ // 4)
        batch["sem_masks"] = torch.zeros(2, IMGSZ // 4, IMGSZ // 4)  # of each pixel the class
    if task == "pose":
        batch["keypoints"] = torch.cat([torch.rand(2, 17, 2), torch.full((2, 17, 1), 2.0)], dim=2)
    return batch
