"""Networks of Ultralytics through the bridge: which class, which wrapper, which words when there is none."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics.nn import tasks

from tests.yoloplug.weights.networks import model
from yoloplug.bridge import model as bridge
from yoloplug.bridge.checkpoints.description import CheckpointError
from yoloplug.errors import YoloplugError


def test_a_near_name_beside_a_missing_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("runs/best.pt", "last.pt"):
        Path(name).write_bytes(b"")
    for asked, near in (("runs/bset.pt", "runs/best.pt"), ("lats.pt", "last.pt")):
        with pytest.raises(YoloplugError, match=f"^no checkpoint '{asked}'; did you mean {near}"):
            bridge.create(asked)
    with pytest.raises(YoloplugError, match=r"^no checkpoint 'none/lats\.pt'; did you mean last.pt"):  # no such folder
        bridge.create("none/lats.pt")
    with pytest.raises(YoloplugError, match=r"^no checkpoint 'none/x\.pt' here; `yolo train` writes best"):
        bridge.create("none/x.pt")
    with pytest.raises(YoloplugError, match=r"no model YAML 'none\.yaml'"):
        bridge.create("none.yaml")


def test_the_wrapper_is_that_of_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the file's name, else by the network that the YAML gives; a checkpoint's fault is said in one line."""
    made: list[str] = []

    class Yolo:
        network: type = tasks.DetectionModel

        def __init__(self, file: str) -> None:
            made.append(f"{type(self).__name__} {Path(file).name}")
            self.model = self.network.__new__(self.network)
            if file.endswith(".pt"):
                raise RuntimeError("no such key\nand more")

    class Rtdetr(Yolo):
        network = tasks.RTDETRDetectionModel

    monkeypatch.setattr(bridge.ultralytics, "YOLO", Yolo)
    monkeypatch.setattr(bridge.ultralytics, "RTDETR", Rtdetr)
    assert type(bridge.create("yolov8n-C2f_gnConv.yaml")) is Yolo and type(bridge.create("rtdetr-l.yaml")) is Rtdetr
    monkeypatch.setattr(Yolo, "network", tasks.RTDETRDetectionModel)
    assert type(bridge.create("yolov8n-C2f_gnConv.yaml")) is Rtdetr
    assert made == ["Yolo yolov8n-C2f_gnConv.yaml", "Rtdetr rtdetr-l.yaml", *(
        f"{name} yolov8n-C2f_gnConv.yaml" for name in ("Yolo", "Rtdetr"))]  # fmt: skip
    (tmp_path / "best.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"best\.pt: ultralytics [\d.]+ does not read it \(no such key\)$"):
        bridge.create(tmp_path / "best.pt", trust=True)
    with pytest.raises(CheckpointError, match="empty"):
        bridge.create(tmp_path / "best.pt")


@pytest.mark.parametrize(
    ("name", "network", "task"),
    [
        ("yolov8n.yaml", "DetectionModel", "detect"),
        ("yolov8n-seg.yaml", "SegmentationModel", "segment"),
        ("yolov8n-cls.yaml", "ClassificationModel", "classify"),
        ("yolov8n-pose.yaml", "PoseModel", "pose"),
        ("yolov8n-obb.yaml", "OBBModel", "obb"),
        ("yolo26n-sem.yaml", "SemanticSegmentationModel", "semantic"),
        ("yolo26n-depth.yaml", "DepthModel", "depth"),
        ("rtdetr-l.yaml", "RTDETRDetectionModel", "detect"),
        ("yolov8n-worldv2.yaml", "WorldModel", "detect"),
        ("yoloe-v8n.yaml", "YOLOEModel", "detect"),
        ("yoloe-v8n-seg.yaml", "YOLOESegModel", "segment"),
    ],
)
def test_the_class_of_a_network_is_its_heads(name: str, network: str, task: str) -> None:
    found = model(name)
    assert bridge.network_class(found).__name__ == network and bridge.task_of(found) == task


def test_networks_are_built_and_fused_as_asked(log: list[str]) -> None:
    given = model("yolov8n.yaml")
    network = bridge.built(given, "detect", 3, {"box": 5.0})
    assert (
        len(network.names) == 3
        and (network.args.box, network.args.cls) == (5.0, 0.5)
        and given == model("yolov8n.yaml")
    )
    assert bridge.built(given, "detect", 3).args.box == 7.5
    conv = bridge.plain_conv(4, 8, 3, 2)
    fused = bridge.fused(conv)
    x = torch.rand(1, 4, 9, 9)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules()) and not fused.training and conv.training
    assert torch.allclose(fused(x), conv.eval()(x), atol=1e-5) and fused(x).shape == (1, 8, 5, 5)
    assert bridge.plain_conv(4, 8, 1)(x).shape == (1, 8, 9, 9)
    assert all(line.startswith("Overriding model.yaml nc=80 with nc=3") for line in log), "no table of rows"


def test_only_names_of_ultralytics_are_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ultralytics.utils import downloads

    def fail(file: Any) -> Any:
        raise OSError("no network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(downloads, "attempt_download_asset", fail)
    assert bridge.fetched(Path("mine.pt")) == Path("mine.pt")
    with pytest.raises(YoloplugError, match=r"^no checkpoint 'yolov8n.pt' here, and no download \(no network\)$"):
        bridge.fetched(Path("yolov8n.pt"))
    Path("yolov8n.pt").write_bytes(b"")
    assert bridge.fetched(Path("yolov8n.pt")) == Path("yolov8n.pt")


def test_a_loaded_network_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    half = nn.Conv2d(1, 1, 1).half()
    asked: list[Any] = []
    monkeypatch.setattr(bridge, "create", lambda *given: asked.append(given) or SimpleNamespace(model=half))
    assert bridge.load("x.pt", trust=True).weight.dtype == torch.float32 and asked == [("x.pt", True)]
    bridge.load("x.pt")
    assert asked[-1] == ("x.pt", False)
