"""Swapped models of every family and task build, run and train."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from ultralytics.nn import tasks
from ultralytics.nn.tasks import guess_model_task
from ultralytics.utils import DEFAULT_CFG

from yoloplug.hosts import ConvLike
from yoloplug.modelfile.file import read
from yoloplug.modelfile.swapped import Swapped, swap

ORDER_3 = {"order": 3}

# Ten swaps across the families and tasks: file, pairs, options of the blocks.
TEN = [
    ("yolov5n.yaml", {"C3": "C3_gnConv"}, ORDER_3),
    ("yolov8n.yaml", {"C2f": "C2f_DCNv2", "SPPF": "C2f_SCConv"}, {}),
    ("yolov9t.yaml", {"RepNCSPELAN4": "C2f_SCConv", "ELAN1": "C3_BottConv", "AConv": "DCNv1"}, {}),
    ("yolov10n.yaml", {"C2f": "C2f_GBC", "C2fCIB": "C3k2_SCConv", "SCDown": "DCNv3"}, {}),
    ("yolo11n.yaml", {"C3k2": "C3k2_DCNv3"}, {}),
    ("yolo12n.yaml", {"A2C2f": "C3k2_gnConv", "C3k2": "C2f_gnConv"}, ORDER_3),
    ("yolo26n.yaml", {"C3k2": "C3k2_SCConv", "C2PSA": "C2f_gnConv"}, {"C2f_gnConv": ORDER_3}),
    ("rtdetr-l.yaml", {"HGStem": "SCConv", "HGBlock": "C2f_BottConv", "RepC3": "C3_SCConv"}, {}),
    ("yolo11n-seg.yaml", {"Conv": "BottConv"}, {}),
    ("yolo26n-sem.yaml", {"C3k2": "C2f_GBC"}, {}),
]

# Every other task and family, built and run.
MORE = [
    ("yolov8n-cls.yaml", {"C2f": "gnConv"}, ORDER_3),
    ("yolov8n-pose.yaml", {"C2f": "C3_DCNv1"}, {}),
    ("yolov8n-obb.yaml", {"C2f": "C3k2_BottConv"}, {}),
    ("yolov5n-p6.yaml", {"Conv": "DCNv2"}, {}),
    ("yolov6n.yaml", {"Conv": "SCConv"}, {}),
    ("yolov3-tiny.yaml", {"Conv": "BottConv"}, {}),
    ("yolov8n-ghost.yaml", {"C3Ghost": "C3_SCConv", "GhostConv": "SCConv"}, {}),
    ("yolov9c-seg.yaml", {"RepNCSPELAN4": "C2f_BottConv", "ADown": "BottConv", "SPPELAN": "C2f_SCConv"}, {}),
    ("yolov9e.yaml", {"RepNCSPELAN4": "C2f_BottConv"}, {}),
    ("yolov10b.yaml", {"C2fCIB": "C2f_SCConv", "PSA": "C2f_SCConv"}, {}),
    ("yolo11n-cls.yaml", {"C3k2": "SCConv"}, {}),
    ("yolo11n-pose.yaml", {"C3k2": "C3_DCNv2"}, {}),
    ("yolo12n-obb.yaml", {"A2C2f": "C2f_SCConv"}, {}),
    ("yolo12n-cls.yaml", {"A2C2f": "C3_SCConv"}, {}),
    ("yolo26n-obb.yaml", {"C3k2": "C2f_SCConv"}, {}),
    ("yolo26n-pose.yaml", {"C3k2": "C2f_SCConv"}, {}),
    ("yolo26n-seg.yaml", {"C3k2": "C2f_SCConv"}, {}),
    ("yolov8n-rtdetr.yaml", {"C2f": "C2f_SCConv"}, {}),
    ("rtdetr-resnet50.yaml", {"ResNetLayer": "SCConv", "RepC3": "C2f_SCConv"}, {}),
]
FAST = {"yolov8n-cls.yaml", "yolo11n-cls.yaml"}


def built(result: Swapped, name: str) -> nn.Module:
    """The swapped model at the scale of `name`, as Ultralytics builds it, on the CPU."""
    config = yaml.safe_load(result.text) | {"scale": read(name).model["scale"], "yaml_file": name}
    if config["head"][-1][2] == "RTDETRDecoder":
        return tasks.RTDETRDetectionModel(config, verbose=False)
    kinds = {
        "detect": "DetectionModel", "segment": "SegmentationModel", "pose": "PoseModel", "obb": "OBBModel",
        "classify": "ClassificationModel", "semantic": "SemanticSegmentationModel",
    }  # fmt: skip
    return getattr(tasks, kinds[guess_model_task(config)])(config, verbose=False)


def random_batch(task: str, model: nn.Module, size: int) -> dict[str, Any]:
    """Two random images with one object each, as the task's own data loader gives them."""
    batch: dict[str, Any] = {"img": torch.rand(2, 3, size, size)}
    if task == "classify":
        return batch | {"cls": torch.tensor([0, 1])}
    if task == "semantic":
        return batch | {"semantic_mask": torch.randint(0, 3, (2, size, size))}
    batch |= {
        "batch_idx": torch.tensor([0.0, 1.0]),
        "cls": torch.zeros(2, 1),
        "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.4, 0.6, 0.3, 0.3]]),
    }
    return batch | ({"masks": torch.ones(2, size // 4, size // 4)} if task == "segment" else {})


def train_one_step(model: nn.Module, task: str, size: int = 64) -> float:
    model.args = SimpleNamespace(**vars(DEFAULT_CFG))
    model.nc = model.yaml["nc"]  # as the trainers set it
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss, _ = model.loss(random_batch(task, model, size))
    loss.sum().backward()
    ours = [p for m in model.modules() if isinstance(m, ConvLike) for p in m.parameters()]
    assert ours and all(p.grad is not None and torch.isfinite(p.grad).all() for p in ours if p.requires_grad)
    before = copy.deepcopy(ours[0])
    optimizer.step()
    assert not torch.equal(before, ours[0]) or not ours[0].grad.any()
    return float(loss.sum())


@pytest.mark.parametrize(
    ("name", "pairs", "options"),
    [pytest.param(*case, id=case[0], marks=() if case[0] == "yolov5n.yaml" else pytest.mark.slow) for case in TEN],
)
def test_ten_swaps_train_one_step(name: str, pairs: dict, options: dict) -> None:
    result = swap(name, pairs, options=options, imgsz=64)
    model = built(result, name)
    task = "detect" if name.startswith("rtdetr") else guess_model_task(model.yaml)
    assert torch.isfinite(torch.tensor(train_one_step(model, task)))


@pytest.mark.parametrize(
    ("name", "pairs", "options"),
    [pytest.param(*case, id=case[0], marks=() if case[0] in FAST else pytest.mark.slow) for case in MORE],
)
def test_every_family_and_task_builds_and_runs(name: str, pairs: dict, options: dict) -> None:
    result = swap(name, pairs, options=options, imgsz=64)
    names = [row[2] for part in ("backbone", "head") for row in yaml.safe_load(result.text)[part]]
    assert not set(pairs) & set(names) and set(pairs.values()) <= set(names)
    built(result, name).eval()(torch.rand(1, 3, 64, 64))
