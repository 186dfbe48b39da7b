"""Rows of a small model as the bridge tells them: traced, as a graph, as what YAML rows may say, placed, looked into.

Written anew by `pytest --update-recorded`; read the difference before it is committed.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import ultralytics
import yaml
from ultralytics.nn.tasks import DetectionModel

from tests.conftest import Recorded
from yoloplug.bridge.graph import aligned, graph_rows, has_rows
from yoloplug.bridge.look.inspection import Album, Inspection
from yoloplug.bridge.place import _notes
from yoloplug.bridge.row_arguments import module_class, module_names, signature_text
from yoloplug.bridge.trace import RowError, scaling, trace

ROWS = [
    [-1, 1, "Conv", [16, 3, 2]],
    [-1, 1, "GatedConv", [32, 3, 2]],
    [-1, 2, "C2f_gnConv", [32, True, {"order": 2}]],
    [-1, 2, "DBB", [None, 3, 1]],
    [-1, 1, "DCNv2", [64, 3, 2]],
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
    [[-1, 3], 1, "Concat", [1]],
    [-1, 1, "CondConv", [48, 3, 1]],
]
MODEL: dict[str, Any] = {
    "nc": 2,
    "scales": {"n": [0.5, 0.5, 32], "s": [1, 1, 64]},
    "backbone": ROWS[:5],
    "head": [*ROWS[5:], [[7, 4], 1, "Detect", ["nc"]]],
}
NAMES = """C2f Detect ResNetLayer nn.Conv2d nn.ConvTranspose2d Index TorchVision gnConv SCConv GatedConv DCNv2 CondConv
C2f_gnConv C3_SCConv C3k2_DBB""".split()


def test_traced_rows(recorded: Recorded) -> None:
    lines = []
    for model, imgsz in ((MODEL, 64), (MODEL | {"scale": "s", "ch": 1}, 96)):
        lines += [f"{row.sources} {row.inputs} {row.outputs} {row.params} {row.flops}" for row in trace(model, imgsz)]
    recorded("trace.txt", "\n".join(lines) + "\n")


def test_scales_and_rows_that_cannot_run() -> None:
    assert scaling(MODEL) == (0.5, 0.5, 32) and scaling(MODEL | {"scale": "s"}) == (1, 1, 64)
    assert scaling({"depth_multiple": 0.3, "width_multiple": 0.2}) == (0.3, 0.2, float("inf"))
    assert scaling({}) == (1, 1, float("inf"))
    apart = {**MODEL, "head": [[[-1, 3], 1, "Concat", [1]], [[5], 1, "Detect", ["nc"]]]}
    said = "row 5: Concat of maps of different size: 16x8x8 of row 4, 16x16x16 of row 3"
    with pytest.raises(RowError, match=f"^{said}$") as raised:
        trace(apart, 64)
    assert raised.value.index == 5
    with pytest.raises(RowError, match=r"; or imgsz=72 is no multiple of the largest stride$"):
        trace({**MODEL, "head": [[[-1, -2, 0], 1, "Concat", [1]], [[5], 1, "Detect", ["nc"]]]}, 72)
    image = {**MODEL, "backbone": [[-1, 1, "nn.Linear", [7, 2]]], "head": []}
    with pytest.raises(RowError, match=r"^row 0: Linear cannot run on 3x64x64 of the image: [^\n]+$"):
        trace(image, 64)


def test_rows_of_a_graph(recorded: Recorded) -> None:
    network = DetectionModel(MODEL, verbose=False)
    rows = graph_rows(network)
    recorded("graph.txt", "\n".join(map(str, rows)) + "\n")
    assert has_rows(network) and not has_rows(network.model) and not has_rows(torch.nn.Conv2d(1, 1, 1))
    same = aligned(network, DetectionModel(MODEL, verbose=False))
    assert [(pair.source.index, pair.target.index) for pair in same.pairs] == [(i, i) for i in range(len(rows))]


def test_what_networks_differ_in() -> None:
    class Network:
        def __init__(self, head: str, names: int, **yaml: Any) -> None:
            self.names = dict.fromkeys(range(names), "")
            self.yaml = {"head": [[[0], 1, head, []]], "backbone": [], **yaml}

    detect = Network("Detect", 80, scale="n")
    assert list(_notes(detect, Network("Detect", 80, scales={"n": [], "s": []}))) == []
    scale, task, classes = _notes(detect, Network("Segment", 3))
    assert scale == "scale n into scale -: only layers of equal shape, nothing is cut"
    assert task == "task detect into segment: of the head what both have"
    assert classes == "80 classes into 3: class layers fresh"
    nameless = Network("Detect", 0)
    del nameless.names
    assert list(_notes(nameless, nameless)) == []
    named = Network("Detect", 3, scale="n")
    named._remap_cls_by_names = None  # type: ignore[attr-defined]
    assert list(_notes(detect, named)) == ["80 classes into 3: class layers fresh, but for classes of equal names"]


def test_arguments_of_rows(recorded: Recorded) -> None:
    recorded("arguments.txt", "".join(f"{name} {signature_text(name)}\n" for name in NAMES))
    assert module_class("nn.Conv2d") is torch.nn.Conv2d and module_class("torchvision.ops.Conv2dNormActivation")
    for name in ("nn.functional", "nn.Nothing", "torchvision.ops.nms", "torchvision.ops.No", "No", "yaml_model_load"):
        assert module_class(name) is None
    names = module_names()
    assert len(names) == len(set(names)) and {"Conv", "Detect", "gnConv", "C2f_gnConv"} <= set(names)
    assert all(module_class(name) for name in names) and not {"DetectionModel", "Path", "torch"} & set(names)
    with pytest.raises(KeyError, match="unknown module 'Nothing'"):
        signature_text("Nothing")


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """A detector that finds ants everywhere, and never a bee."""
    folder = tmp_path_factory.mktemp("look")
    (folder / "small.yaml").write_text(yaml.safe_dump(MODEL))
    torch.manual_seed(0)
    yolo = ultralytics.YOLO(str(folder / "small.yaml"))
    yolo.model.names = {0: "ant", 1: "bee"}
    with torch.no_grad():
        for branch in yolo.model.model[-1].cv3:
            branch[-1].bias.copy_(torch.tensor([3.0, -9.0]))
            branch[-1].weight.mul_(0.01)
    yolo.save(folder / "small.pt")
    cv2.imwrite(str(folder / "wall.png"), np.random.default_rng(0).integers(0, 255, (60, 100, 3), dtype=np.uint8))
    return Inspection(folder / "small.pt", folder / "wall.png", imgsz=64, top=3)


def test_what_there_is_to_look_at(look: Inspection, monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> None:
    recorded("summary.txt", re.sub(r"found \d+ ant", "found N ant", look.summary()) + "\n")
    monkeypatch.setattr(look, "inside", replace(look.inside, outlines=[]))
    assert "found nothing above 0.25\n" in look.summary() and look._places() == [(50, 30)]


def test_what_is_drawn(look: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> None:
    """Of every row all that it has, then kind by kind, then of the inputs of the head."""
    drawn: list[str] = []

    def add_view(album: Album, view: Any, kinds: Any, name: str, title: str, places: Any) -> None:
        assert places == [tuple(polygon.mean(0).tolist()) for polygon, *_ in look.inside.outlines[:3]]
        drawn.append(f"{name}: {title}: {list(kinds)}")

    def add_maps(album: Album, maps: torch.Tensor, name: str, title: str) -> None:
        drawn.append(f"{name}: {title}: {tuple(maps.shape)}")

    for method, instead in (("add_view", add_view), ("add_features", add_maps), ("add_heat", add_maps)):
        monkeypatch.setattr(Album, method, instead)
    for row in look.features:
        look.draw(tmp_path, [row])
    for row, kind in ((1, "gate"), (1, "features"), (4, "offset"), (7, "cam")):
        look.draw(tmp_path, [row], kind)
    look.draw(tmp_path, what="cam")
    look.draw(tmp_path, [1, 2], "cam", label="0")
    recorded("drawn.txt", "\n".join(drawn) + "\n")
