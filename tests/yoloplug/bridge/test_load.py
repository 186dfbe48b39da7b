"""Ultralytics' own `load`, with our hook: what of a trained network arrives where in a changed one."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.nn import tasks
from ultralytics.nn.tasks import DetectionModel, SegmentationModel

from tests.yoloplug.weights.networks import model, swapped, with_row
from yoloplug.bridge.patches import load as hook
from yoloplug.bridge.place import place

STOCK = tasks.BaseModel.load.__wrapped__  # type: ignore[attr-defined]


def detector(of: dict[str, Any], **arguments: Any) -> Any:
    return DetectionModel(copy.deepcopy(of), verbose=False, **arguments)


def marked(network: Any) -> dict[float, str]:
    """Fill every tensor with a number of its own; number -> name."""
    numbers: dict[float, str] = {}
    for name, value in network.state_dict().items():
        numbers[float(len(numbers) + 1000)] = name
        value.fill_(len(numbers) + 999)
    return numbers


def arrived(network: Any, numbers: dict[float, str]) -> dict[str, str]:
    """Names of the network's tensors that hold a mark -> whose it is."""
    found = {}
    for name, value in network.state_dict().items():
        if (
            value.numel()
            and bool((value == value.flatten()[0]).all())
            and (mark := float(value.flatten()[0])) in numbers
        ):
            found[name] = numbers[mark]
    return found


def parameters(network: Any, names: set[str]) -> int:
    return sum(value.numel() for name, value in network.named_parameters() if name in names)


@pytest.mark.parametrize("name, after", [("yolov8n.yaml", 2), ("yolov8n.yaml", 8), ("yolo26n.yaml", 4)])
def test_all_of_a_trained_network_arrives_around_an_inserted_row(name: str, after: int, log: list[str]) -> None:
    source, target = detector(model(name)), detector(with_row(model(name), after, [1, "SCConv", []]))
    numbers = marked(source)
    target.load(source)
    found = arrived(target, numbers)
    for ours, theirs in found.items():
        number, rest = theirs.removeprefix("model.").split(".", 1)
        assert ours == f"model.{int(number) + (int(number) > after)}.{rest}", "in another layer"
    assert parameters(source, set(found.values())) == sum(p.numel() for p in source.parameters())
    assert any(
        line.startswith("yoloplug: 100 % of") and f"row {after + 1} SCConv inserted" in "".join(log) for line in log
    )
    assert "0 in another layer (by row number, as without yoloplug: " in "".join(log)


def test_in_silence_and_what_was_placed_is_told(log: list[str]) -> None:
    source, target = detector(model("yolov8n.yaml")), detector(with_row(model("yolov8n.yaml"), 4, [1, "SCConv", []]))
    target.yaml["yaml_file"] = "my.yaml"
    log.clear()
    target.load(source, verbose=False)
    assert not log
    for path, name in ((None, "yolov8n.yaml"), ("best.pt", "best.pt")):
        source.pt_path, source.yaml["yaml_file"] = path, "yolov8n.yaml"
        done = place(source, target, verbose=False)
        assert (done.source, done.target, done.placed, done.notes) == (name, "my.yaml", 1, ())
    del target.yaml["yaml_file"]
    assert place(source, target, verbose=False).target == "DetectionModel" and not log


def test_without_any_block_of_ours_in_the_process_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = detector(model("yolov8n.yaml")), detector(model("yolov8n.yaml"))
    monkeypatch.setattr(hook, "_network", lambda weights: pytest.fail("compared"))
    monkeypatch.delitem(sys.modules, "yoloplug.hosts")
    target.load(source, verbose=False)
    assert torch.equal(target.model[0].conv.weight, source.model[0].conv.weight)


def test_ultralytics_own_loading_is_what_the_hook_prevents() -> None:
    """Measured on the stock function: one inserted row costs nearly all weights, and some go into other layers."""
    source, target = detector(model("yolov8n.yaml")), detector(with_row(model("yolov8n.yaml"), 4, [1, "SCConv", []]))
    numbers = marked(source)
    STOCK(target, source, verbose=False)
    found = arrived(target, numbers)
    assert parameters(source, set(found.values())) < 0.03 * sum(p.numel() for p in source.parameters())
    assert any(int(ours.split(".")[1]) > 4 for ours in found), "a number that is another layer's now"


@pytest.mark.parametrize("classes", [80, 3])
def test_stock_into_stock_is_left_to_ultralytics(classes: int, log: list[str]) -> None:
    """Byte for byte: weights, names and every line of the log."""
    source = detector(model("yolov8n.yaml"))
    source.names = {i: f"class {i}" for i in range(80)}
    hooked = detector(model("yolov8n.yaml"), nc=classes)
    hooked.names = {i: f"Class {i + 1}" for i in range(classes)}
    plain = copy.deepcopy(hooked)
    log.clear()
    hooked.load(copy.deepcopy(source))
    said, log[:] = log[:], []
    STOCK(plain, copy.deepcopy(source))
    assert said == log and len(said) >= 1
    ours, theirs = hooked.state_dict(), plain.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert hooked.names == plain.names


def test_a_stock_yaml_with_other_rows_is_left_to_ultralytics_too(log: list[str]) -> None:
    source, target = detector(model("yolov8n.yaml")), detector(model("yolov8n-p2.yaml"))
    plain = copy.deepcopy(target)
    target.load(source)
    said, log[:] = log[:], []
    STOCK(plain, source)
    assert said == log
    assert all(
        torch.equal(a, b) for a, b in zip(target.state_dict().values(), plain.state_dict().values(), strict=True)
    )


def test_classes_go_by_name_as_in_stock(log: list[str]) -> None:
    """Other classes in another order: what Ultralytics does with the head reaches a head that has moved."""
    source = detector(model("yolov8n.yaml"), nc=4)
    source.names = {0: "ant", 1: "bee", 2: "cat", 3: "dog"}
    target = detector(with_row(model("yolov8n.yaml"), 4, [1, "SCConv", []]), nc=3)
    target.names = {0: "dog", 1: "elk", 2: "bee"}
    target.load(source)
    assert any("Remapped 2/3 cls head rows" in line for line in log)
    for k in range(3):
        ours, theirs = target.model[23].cv3[k][2], source.model[22].cv3[k][2]
        assert torch.equal(ours.weight[0], theirs.weight[3]) and torch.equal(ours.weight[2], theirs.weight[1])
        assert torch.equal(ours.bias[[0, 2]], theirs.bias[[3, 1]])
        assert not torch.equal(ours.weight[1], theirs.weight[1])


def test_a_fresh_norm_takes_gain_and_shift_and_no_statistics() -> None:
    source, target = detector(model("yolov8n.yaml")), detector(swapped(model("yolov8n.yaml"), {"C2f": "C2f_gnConv"}))
    for norm in (m for m in source.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight), nn.init.uniform_(norm.bias), norm.running_var.fill_(7)  # type: ignore[union-attr]
    target.load(source, verbose=False)
    ours, theirs = target.model[4].m[0].cv2.bn, source.model[4].m[0].cv2.bn
    assert torch.equal(ours.weight, theirs.weight) and torch.equal(ours.bias, theirs.bias)
    assert ours.settled == 0 and not ours.running_var.any()
    assert torch.equal(target.model[4].m[0].cv1.bn.running_var, theirs.running_var)


def test_own_checkpoint_loads_whole_and_in_silence(log: list[str]) -> None:
    own = detector(with_row(swapped(model("yolov8n.yaml"), {"C2f": "C2f_gnConv"}), 4, [1, "SCConv", []]))
    again = detector(own.yaml)
    again.load(own)
    assert not any("yoloplug" in line for line in log)
    assert all(torch.equal(a, b) for a, b in zip(own.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.mark.parametrize("form", ["half file", "ema", "compiled"])
def test_checkpoints_as_they_come(form: str, tmp_path: Path) -> None:
    changed = with_row(model("yolov8n.yaml"), 4, [1, "SCConv", []])
    source, target = detector(model("yolov8n.yaml")), detector(changed)
    if form == "half file":
        torch.save(
            {"model": copy.deepcopy(source).half(), "ema": None, "train_args": {}, "epoch": -1}, tmp_path / "x.pt"
        )
        target.load(tasks.load_checkpoint(tmp_path / "x.pt")[0])
    elif form == "ema":
        other = detector(model("yolov8n.yaml"))
        target.load({"model": other, "ema": source})
    else:
        target.load(torch.compile(source))
    wanted = (
        source.model[22].cv2[0][0].conv.weight.half() if form == "half file" else source.model[22].cv2[0][0].conv.weight
    )
    assert torch.equal(target.model[23].cv2[0][0].conv.weight, wanted.float())


def test_another_task_and_another_scale_are_loaded_as_far_as_shapes_agree(log: list[str]) -> None:
    source = detector(model("yolov8n.yaml"))
    seg = SegmentationModel(with_row(model("yolov8n-seg.yaml"), 4, [1, "SCConv", []]), verbose=False)
    numbers = marked(source)
    seg.load(source)
    assert parameters(source, set(arrived(seg, numbers).values())) == sum(p.numel() for p in source.parameters())
    small = detector(with_row(model("yolov8s.yaml"), 4, [1, "SCConv", []]))
    log.clear()
    small.load(source)
    found = arrived(small, numbers)
    assert found and all(source.state_dict()[t].shape == small.state_dict()[o].shape for o, t in found.items())
    assert any("scale n" in line and "scale s" in line for line in log)


def test_hornet_gets_nothing_of_another_layer() -> None:
    """Issue 14: Ultralytics put six tensors of yolov8n into a wrong row of it."""
    source, target = detector(model("yolov8n.yaml")), YOLO("yolov8n-HorNet.yaml").model
    numbers = marked(source)
    target.load(source, verbose=False)
    rows = {(int(ours.split(".")[1]), int(theirs.split(".")[1])) for ours, theirs in arrived(target, numbers).items()}
    assert all(theirs == ours + 1 for ours, theirs in rows if ours >= 8), "SPPF, neck and head are one row higher up"
    assert (20, 21) in rows and (21, 22) in rows
