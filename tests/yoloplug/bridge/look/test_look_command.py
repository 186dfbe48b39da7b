"""`yoloplug look` on small checkpoints: files, values in image pixels, Ultralytics' own heat map, errors."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import ultralytics
from torch import nn
from ultralytics.utils import plotting

from yoloplug.bridge.look.inspection import Album, Inspection, _ranges
from yoloplug.cli import main
from yoloplug.errors import YoloplugError


def draw(checkpoint: Path, image: Path, out: Path, *options: str) -> dict[str, Path]:
    """What follows the image's name in the files -> file."""
    argv = ["look", str(checkpoint), str(image), "--imgsz", "64", "--out", str(out), *options]
    assert main(argv) == 0
    return {file.stem.removeprefix("wall-"): file for file in sorted(out.iterdir())}


def test_without_a_row_it_lists_what_there_is(checkpoint, image, capsys):
    assert main(["look", str(checkpoint), str(image), "--imgsz", "64"]) == 0
    shown = capsys.readouterr().out
    assert "classes crack, hole" in shown and "m.0.cv2.block (gnConv): gate 1, gate 2" in shown
    rows = [line.split()[:2] for line in shown.splitlines() if line[:3].strip().isdigit()]
    assert rows == [["2", "GatedConv"], ["3", "C2f_gnConv"], ["4", "DCNv2"], ["5", "CondConv"]]
    assert "rows 3, 6, which the head reads" in shown


def test_a_row_with_two_blocks_is_named_once(checkpoint, image):
    look = Inspection(checkpoint, image, imgsz=64)
    look.views[3] *= 2
    lines = [line for line in look.summary().splitlines() if "m.0.cv2.block" in line]
    assert [line[:20].split() for line in lines] == [["3", "C2f_gnConv"], []]
    assert lines[0][36:] == lines[1][36:] and lines[1][:36].isspace() and lines[1][38:40] == "m."


def test_what_the_head_reads_and_what_the_model_is_called(checkpoint, image):
    inside = Inspection(checkpoint, image, imgsz=64).inside
    assert inside.yaml_name == "small" and inside.head_sources() == [3, 6]
    inside.rows[-1].f = [3, -1]
    assert inside.head_sources() == [3, 6]
    inside.rows[-1].f = -1
    assert inside.head_sources() == [6]


def test_places_and_ranges_and_many_classes(checkpoint, image):
    look = Inspection(checkpoint, image, imgsz=64)
    assert look.top == 16 and look.conf == 0.25
    look._check_places([(0, 0), (99.9, 59.9), (50, 30)])
    for place in ((-0.1, 0), (0, -0.1), (100, 0), (0, 60), (50, 99)):
        with pytest.raises(YoloplugError, match="lies outside of"):
            look._check_places([place])
    assert (
        _ranges([0, 1, 2, 5]) == "0 to 2, 5" and _ranges([3]) == "3" and _ranges([1, 2, 4, 5, 7]) == "1 to 2, 4 to 5, 7"
    )
    names = {i: f"c{i}" for i in range(21)}
    look.inside = replace(look.inside, names=names)
    assert look._classes() == ", ".join(f"c{i}" for i in range(20)) + ", … (21 in all)"
    del names[20]
    assert look._classes() == ", ".join(f"c{i}" for i in range(20))


@pytest.mark.parametrize("conf", [0, 1])
def test_any_confidence_and_one_prediction_may_be_asked_for(conf, checkpoint, image):
    look = Inspection(checkpoint, image, imgsz=64, conf=conf, top=1)
    assert bool(look.inside.outlines) is (conf == 0)


def test_a_depth_model_shows_its_features_and_no_heat_map(checkpoint, image, tmp_path):
    """It has no classes to explain."""
    look = Inspection(checkpoint, image, imgsz=64)
    look.inside = replace(look.inside, task="depth")
    assert [file.name for file in look.draw(tmp_path, [0])] == ["wall-row00-features.png"]
    assert "found" not in look.summary()
    with pytest.raises(YoloplugError, match="no class scores"):
        look.draw(tmp_path, [0], "cam")


def test_offsets_are_drawn_where_they_are_asked_for(checkpoint, image, tmp_path, monkeypatch):
    seen = []

    def add_view(album, view, kinds, name, title, places):
        seen.append(places)
        assert album.scene.findings is look.inside.findings and album.scene.covers == look.inside.covers
        assert len(album.scene.outlines) == len(look.inside.outlines) > 0

    monkeypatch.setattr(Album, "add_view", add_view)
    look = Inspection(checkpoint, image, imgsz=64)
    look.inside = replace(look.inside, findings=np.zeros((2, 2)))  # as of a network that colours pixels
    look.draw(tmp_path, [4], "offset", places=[(10, 20)])
    look.draw(tmp_path, [4], "offset")
    assert seen[0] == [(10, 20)] and len(seen[1]) > 0 and seen[1] != seen[0]


def test_objects_below_conf_are_not_outlined(checkpoint, image):
    found = [len(Inspection(checkpoint, image, imgsz=64, conf=conf).inside.outlines) for conf in (0.001, 0.99)]
    assert found[0] > 0 == found[1]


def test_a_row_shows_all_it_has(checkpoint, image, tmp_path):
    files = draw(checkpoint, image, tmp_path, "--block", "2", "--save-arrays")
    assert set(files) == {"row02-block-gate", "row02-features", "row02-cam"}
    for name in files:
        picture = cv2.imread(str(tmp_path / f"wall-{name}.png"))
        assert picture.shape[0] > 200 and picture.std() > 10
    gate = np.load(tmp_path / "wall-row02-block-gate.npz")
    assert gate["gate"].shape == (16, 8, 8) and 0 < gate["gate"].min() < gate["gate"].max() < 1
    # 64 x 64 input: 100 x 60 image at scale 0.64 stands on rows 13 to 51.
    assert gate["covers_px"].tolist() == pytest.approx([0, -13 / 0.64, 100, 51 / 0.64])
    heat = np.load(tmp_path / "wall-row02-cam.npz")["heat"]
    assert heat.shape == (64, 64) and heat.max() == pytest.approx(1) and heat.min() >= 0


def test_offsets_and_mixtures(checkpoint, image, tmp_path):
    assert list(draw(checkpoint, image, tmp_path, "--block", "4", "--what", "offset", "--at", "10,20")) == [
        "row04-block-offset"
    ]
    assert len(draw(checkpoint, image, tmp_path, "--block", "5", "--what", "gate")) == 2
    assert cv2.imread(str(tmp_path / "wall-row05-block-bars.png")).std() > 10


def test_one_view_one_class_another_format(checkpoint, image, tmp_path):
    files = draw(checkpoint, image, tmp_path, "--what", "cam", "--class", "hole", "--format", "svg")
    assert list(files) == ["head-cam-hole"]
    svg = files["head-cam-hole"].read_text()
    assert "<svg" in svg


def test_fused_or_not_the_views_are_the_same(checkpoint, image):
    look = Inspection(checkpoint, image, imgsz=64)
    own = ultralytics.YOLO(str(checkpoint)).model.float().eval()
    assert any(isinstance(m, nn.BatchNorm2d) for m in own.model[0].modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in look.inside.network.model[0].modules())
    with torch.no_grad():
        x = own.model[1](own.model[0](look.inside.input))
        features, gate = own.model[2].block.conv(x).chunk(2, dim=1)
    assert torch.allclose(look.views[2][0].maps["gate"], gate[0].sigmoid(), atol=1e-4)
    assert features.shape[1:] == look.features[2].shape


def test_the_heads_heat_map_is_ultralytics_own(checkpoint, image, tmp_path, monkeypatch):
    """The map behind `predict(visualize=True)`, caught where Ultralytics colours it; it rounds down to 8 bits."""
    drawn: list[np.ndarray] = []
    colour = cv2.applyColorMap
    monkeypatch.setattr(plotting.cv2, "applyColorMap", lambda c, *args: drawn.append(c) or colour(c, *args))
    model = ultralytics.YOLO(str(checkpoint))
    model.predict(str(image), imgsz=64, conf=0.25, visualize=True, verbose=False, project=str(tmp_path))
    look = Inspection(checkpoint, image, imgsz=64)
    from yoloplug.look.layer_cam import heat_map, outputs_of

    modules = [look.inside.rows[row] for row in look.inside.head_sources()]
    with outputs_of(modules) as outputs:
        scores = look.inside.scores(look.inside.run(with_graph=True), None, conf=0.25, iou=1)
    heat = heat_map([s.value for s in scores], [outputs[m][0] for m in modules], (64, 64))
    assert len(scores) == 16 and len(drawn) == 1
    assert np.abs(drawn[0] - heat.numpy() * 255).max() <= 1.01
    assert heat.mean() > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--block", "8"], "has no row 8; rows with something to show, cam: 0 to 6"),
        (["--block", "-1"], "has no row -1; rows with something to show, cam: 0 to 6"),
        (["--block", "9"], "has no row 9; rows with something to show, cam: 0 to 6; gate: 2 to 3, 5; offset: 4;"),
        (["--block", "0", "--what", "gate"], "row 0 (Conv) has no gate; rows that have, cam: 0 to 6; gate: 2 to 3, 5"),
        (["--block", "2", "--what", "offset"], "row 2 (GatedConv) has no offset"),
        (["--block", "7"], "row 7 (Detect) gives no feature map"),
        (["--what", "cam", "--class", "crak"], "has no class 'crak'; did you mean crack? (valid: crack, hole)"),
        (["--block", "4", "--at", "500,3"], "place 500,3 lies outside"),
        (["--block", "4", "--top", "0"], "top must be at least 1, got 0"),
        (["--conf", "2"], "conf must lie between 0 and 1, got 2"),
    ],
)
def test_refuses(checkpoint, image, tmp_path, capsys, options, message):
    assert main(["look", str(checkpoint), str(image), "--imgsz", "64", "--out", str(tmp_path / "o"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_refuses_files_that_are_none(checkpoint, image, tmp_path, capsys):
    text = tmp_path / "text.pt"
    text.write_text("no weights")
    tensors = tmp_path / "tensors.pt"
    torch.save({"a": torch.zeros(1)}, tensors)
    for model, photo, message in (
        (tmp_path / "none.pt", image, "no checkpoint"),
        (checkpoint, tmp_path / "none.jpg", "no image"),
        (checkpoint, text, "not an image that OpenCV can read"),
        (text, image, "damaged, or no checkpoint"),
        (tensors, image, "a state_dict, weights without their network"),
        (image, image, "look needs a trained checkpoint (.pt)"),
    ):
        assert main(["look", str(model), str(photo)]) == 2
        error = capsys.readouterr().err
        assert message in error and "yoloplug: " in error and error.count("\n") == 1, error


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["yolov8n-cls", "yolov8n-seg", "yolov8n-obb", "yolov8n-pose", "yolo26n", "yolo26n-sem", "yolov10n", "rtdetr-l"],
)
def test_every_task_has_a_heat_map(name, image, tmp_path):
    wrapper = ultralytics.RTDETR if "rtdetr" in name else ultralytics.YOLO
    wrapper(f"{name}.yaml").save(tmp_path / "model.pt")
    look = Inspection(tmp_path / "model.pt", image, imgsz=96, conf=0.001, top=2)
    picture, numbers = look.draw(tmp_path / "out", what="cam", arrays=True)
    data = np.load(numbers)
    assert data["heat"].max() == pytest.approx(1) and picture.suffix == ".png"
    left, top, right, bottom = data["covers_px"]
    if name == "yolov8n-cls":  # the middle square
        assert (left, top, right, bottom) == (20, 0, 80, 60)
    elif name == "rtdetr-l":  # stretched
        assert (left, top, right, bottom) == (0, 0, 100, 60)
    else:  # padded to a square or to a multiple of the stride
        assert left <= 0 and top <= 0 and right >= 100 and bottom >= 60


@pytest.mark.slow
def test_a_depth_model_says_that_it_has_no_classes(image, tmp_path):
    ultralytics.YOLO("yolo26n-depth.yaml").save(tmp_path / "model.pt")
    look = Inspection(tmp_path / "model.pt", image, imgsz=96)
    with pytest.raises(ValueError, match="no class scores"):
        look.draw(tmp_path / "out", what="cam")
    assert len(look.draw(tmp_path / "out", [2])) == 1
