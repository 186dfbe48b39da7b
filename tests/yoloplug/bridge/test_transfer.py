"""`yoloplug transfer`: from a trained checkpoint and a changed YAML to a checkpoint to start from."""

import copy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import ultralytics
from torch import nn
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel, PoseModel

import yoloplug
from tests.yoloplug.weights.networks import Network, model, swapped, with_row
from yoloplug.bridge.graph import aligned
from yoloplug.bridge.transfer import _at_scale, _built, _preserving
from yoloplug.cli import main
from yoloplug.errors import YoloplugError
from yoloplug.modelfile.file import read

CLASSES = "built with the source's 3 classes; training takes those of its data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A yolov8n of three classes whose norms have seen data, as `yolo train` leaves it, and a changed YAML."""
    where = tmp_path_factory.mktemp("transfer")
    torch.manual_seed(0)
    network = DetectionModel(copy.deepcopy(model("yolov8n.yaml")), nc=3, verbose=False)
    network.names = {0: "ant", 1: "bee", 2: "cat"}
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.running_var is not None and norm.running_mean is not None
        nn.init.uniform_(norm.weight, 0.8, 1.2), nn.init.uniform_(norm.running_var, 0.5, 2), nn.init.normal_(norm.bias)
    torch.save({"model": network.half(), "ema": None, "epoch": -1, "train_args": {}}, where / "best.pt")
    yoloplug.swap("yolov8n.yaml", {"C2f": "C2f_DCNv2"}, "backbone", insert=[("SCConv", 4)], output=where / "my.yaml")
    return where


def changed(of: Path, to: Path, name: str) -> YOLO:
    done = YOLO(str(to / name))
    assert len(done.names) == 3 and done.names[1] == "bee", "with the source's classes"
    assert done.model.yaml["backbone"][5][2] == "SCConv"
    return done


def test_the_command_writes_a_checkpoint_and_says_what_is_in_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    assert main(["transfer", str(folder / "best.pt"), str(folder / "my.yaml"), "-o", str(tmp_path / "init.pt")]) == 0
    said = capsys.readouterr().out
    assert not log, "what Ultralytics would say while it builds and loads"
    source, target = YOLO(str(folder / "best.pt")).model, changed(folder, tmp_path, "init.pt").model
    ours, theirs = target.state_dict(), source.state_dict()
    assert torch.equal(ours["model.23.cv3.1.2.weight"], theirs["model.22.cv3.1.2.weight"].float()), (
        "the class layers too"
    )
    assert torch.equal(ours["model.4.m.1.cv1.conv.weight"], theirs["model.4.m.1.cv1.conv.weight"].float())
    lines = said.splitlines()
    assert any(line.split() == ["4", "C2f_DCNv2", "4", "C2f", "47.9", "%", "2", "DCNv2", "fresh"] for line in lines), (
        said
    )
    assert any(line.split() == ["5", "SCConv", "-", "0", "%", "inserted:", "fresh"] for line in lines), said
    assert any(line.split() == ["23", "Detect", "22", "Detect", "100", "%"] for line in lines), said
    assert "of best.pt's parameters placed, 0 in another layer (by row number, as without yoloplug: " in said
    assert f"wrote {tmp_path / 'init.pt'}; train it: yolo train model={tmp_path / 'init.pt'}" in said
    assert "--preserve lets these blocks start" in said


def test_preserve_keeps_what_the_model_computes(folder: Path, tmp_path: Path) -> None:
    done = yoloplug.transfer(folder / "best.pt", folder / "my.yaml", tmp_path / "init.pt", preserve=True)
    assert done.placed == 1 and not done.fresh_blocks
    assert "DCNv2 starts as trained" in str(done) and "inserted: passes its input on at first" in str(done)
    source, target = YOLO(str(folder / "best.pt")).model.float().eval(), changed(folder, tmp_path, "init.pt").model
    image = torch.rand(2, 3, 96, 64)
    read: list[list[torch.Tensor]] = []  # by the heads: boxes of a network that has learnt nothing are all alike
    for network in (source, target.float().eval()):
        network.model[-1].register_forward_pre_hook(lambda _, given: read.append(list(given[0])))
        with torch.no_grad():
            network(image)
    for a, b in zip(*read, strict=True):
        assert (a - b).abs().max() < 1e-4 * a.std()


def test_a_stock_row_inserted_without_any_block_of_ours(folder: Path, tmp_path: Path) -> None:
    """The hook leaves stock into stock to Ultralytics; the command aligns."""
    yoloplug.swap("yolov8n.yaml", insert=[("Conv[256, 3, 1]", 4)], output=tmp_path / "my.yaml")
    done = yoloplug.transfer(folder / "best.pt", tmp_path / "my.yaml", preserve=True)
    assert done.placed == 1 and done.outcome.by_number < 0.1 * done.outcome.params
    assert done.notes == (CLASSES, "row 5 Conv is inserted and stock: it changes what the model computes")


def test_blocks_of_c2f_inserted_so_that_they_do_nothing_are_named(folder: Path, tmp_path: Path) -> None:
    yoloplug.swap("yolov8n.yaml", {"C2f": "C2f_gnConv"}, insert=[("C2f_gnConv", 4)], output=tmp_path / "my.yaml")
    done = yoloplug.transfer(folder / "best.pt", tmp_path / "my.yaml", preserve=True)
    row = done.outcome.rows[5]
    assert (row.target.kind, row.source, row.notes) == ("C2f_gnConv", None, ["inserted: passes its input on at first"])
    assert done.placed == 1 and done.notes == (CLASSES,)


def test_rows_that_were_trained_with_a_block_and_those_that_say_how_they_start_stay() -> None:
    """Of the rest, those in a layer's place start as it, also where rows share their options (an anchor of YAML)."""
    source = swapped(model("yolov8n.yaml"), {"SPPF": "gnConv"})
    target = swapped(source, {"C2f": "C2f_gnConv"}, order=3)
    target["backbone"][1][2:] = ["DBB", [128, 3, 2]]
    target["backbone"][2][3][-1] = {"order": 3, "preserve": False}
    target, notes = with_row(with_row(target, 4, [1, "SCConv", []]), 5, [1, "C2f_gnConv", []]), []
    target["backbone"][6][3] = target["backbone"][4][3]
    before = copy.deepcopy(target)
    made = _preserving(target, aligned(Network(source), Network(target)), notes)
    assert target == before and not notes
    assert [row[3] for row in made["backbone"][1:7]] == [
        [128, 3, 2, {"preserve": True}],
        [128, True, {"order": 3, "preserve": False}],
        [256, 3, 2],
        [256, True, {"order": 3, "preserve": True}],
        [{"preserve": "inserted"}],
        [256, True, {"order": 3, "preserve": "inserted"}],
    ]
    assert made["backbone"][11] == target["backbone"][11] and made["backbone"][11][2] == "gnConv"
    assert [row[3][-1]["preserve"] for row in made["head"] if row[2] == "C2f_gnConv"] == [True] * 4


def test_without_output_nothing_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["transfer", str(folder / "best.pt"), str(folder / "my.yaml")]) == 0
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_overwritten_by_wish_alone(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "init.pt"
    file.write_text("mine")
    with pytest.raises(YoloplugError, match="--force overwrites it"):
        yoloplug.transfer(folder / "best.pt", folder / "my.yaml", file)
    assert file.read_text() == "mine"
    done = yoloplug.transfer(folder / "best.pt", folder / "my.yaml", file, force=True)
    assert (done.source, done.target, done.output) == (str(folder / "best.pt"), str(folder / "my.yaml"), str(file))
    assert file.stat().st_size > 10**6


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["nothing.pt", "my.yaml"], "no checkpoint 'nothing.pt'"),
        (["broken.pt", "my.yaml"], "cut off"),
        (["foreign.pt", "my.yaml"], "--trust"),
        (["best.pt", "mine.yaml"], "no model YAML 'mine.yaml'"),
        (["best.pt", "my.yaml", "-o", "init.pth"], "ends in .pt"),
        (["best.pt", "my.yaml", "-o", "best.pt"], "--force overwrites it"),
        (["best.pt", "my.yaml", "-o", "nowhere/init.pt"], "there is no folder nowhere"),
        (["best.pt", "my.yaml", "--scale", "q"], "no scale 'q'; it has n, s, m, l, x"),
        (["best.pt", "wrong.yaml"], "wrong.yaml, row 1"),
        (["best.pt", "wide.yaml", "--preserve"], "wide.yaml cannot be built"),
    ],
)
def test_what_cannot_be_is_one_line(
    folder: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (folder / "broken.pt").write_bytes((folder / "best.pt").read_bytes()[:-1000])
    torch.save({"model": _Calls()}, folder / "foreign.pt")
    text = (folder / "my.yaml").read_text()
    (folder / "wrong.yaml").write_text(text.replace("[-1, 1, Conv, [128, 3, 2]]", "[-1, 1, Cov, [128, 3, 2]]"))
    (folder / "wide.yaml").write_text(text.replace("SCConv, []", "SCConv, [512]"))
    assert main(["transfer", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1, error


class _Calls:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code of a checkpoint ran",)


def test_the_scale_is_that_of_the_name_or_of_the_source(folder: Path, tmp_path: Path) -> None:
    small = DetectionModel(copy.deepcopy(model("yolov8s.yaml")), verbose=False)
    torch.save({"model": small, "ema": None}, tmp_path / "small.pt")
    done = yoloplug.transfer(tmp_path / "small.pt", folder / "my.yaml")
    assert "built at scale s, the source's" in done.notes
    assert done.outcome.rows[0].target.params == sum(p.numel() for p in small.model[0].parameters())
    other = yoloplug.transfer(tmp_path / "small.pt", folder / "my.yaml", scale="n")
    assert any(note.startswith("scale s into scale n") for note in other.notes) and other.placed < 0.3


@pytest.mark.parametrize(
    ("name", "source", "asked", "scale", "notes"),
    [
        ("yolov8.yaml", {"scale": "s"}, None, "s", ["built at scale s, the source's"]),
        ("yolov8.yaml", {"scale": "n"}, None, "n", []),
        ("yolov8.yaml", {"scales": {"m": []}}, None, "m", ["built at scale m, the source's"]),
        ("yolov8.yaml", {"scale": "q"}, None, "n", []),
        ("yolov8.yaml", {}, None, "n", []),
        ("yolov8m.yaml", {"scale": "s"}, None, "m", []),
        ("yolov8m.yaml", {"scale": "s"}, "x", "x", []),
        ("yolov3.yaml", {"scale": "s"}, None, None, []),
    ],
)
def test_scales_by_name_by_wish_and_by_source(
    name: str, source: dict[str, Any], asked: str | None, scale: str | None, notes: list[str]
) -> None:
    file, said = _at_scale(name, SimpleNamespace(yaml=source), asked)
    assert ((file.model.get("scale") or next(iter(file.model.get("scales", {})), None)), said) == (scale, notes)
    with pytest.raises(YoloplugError, match="no scale 'q'; it has n" if scale else "no scale 'q'; it has no scales"):
        _at_scale(name, SimpleNamespace(yaml=source), "q")


def test_the_checkpoint_is_as_yolo_saves_one_and_knows_its_task(folder: Path, tmp_path: Path) -> None:
    """RT-DETR's head tells Ultralytics no task."""
    yoloplug.transfer(folder / "best.pt", folder / "my.yaml", tmp_path / "init.pt")
    saved = torch.load(tmp_path / "init.pt", weights_only=False)
    network, date = saved.pop("model"), datetime.fromisoformat(saved.pop("date"))
    assert network.task == "detect" and abs(datetime.now(timezone.utc) - date) < timedelta(minutes=5)
    version, licence = saved.pop("version"), saved.pop("license")
    assert version == ultralytics.__version__ and licence == "AGPL-3.0 (https://ultralytics.com/license)"
    assert saved == {"epoch": -1, "ema": None, "optimizer": None, "train_args": {}}
    assert next(network.parameters()).dtype == torch.float32
    done = _built(read("rtdetr-l.yaml"), model("rtdetr-l.yaml"), SimpleNamespace(names={}, yaml={"ch": 1}))
    assert done.task == "detect" and done.model[0].stem1.conv.in_channels == 1
    file, nameless = read("yolov8n.yaml"), SimpleNamespace(yaml={"channels": 4})
    for given, channels in (({}, 4), ({"ch": 2}, 2), ({"ch": 2, "channels": 5}, 5)):
        assert _built(file, file.model | given, nameless).model[0].conv.in_channels == channels


def test_key_points_are_the_sources(tmp_path: Path) -> None:
    pose = PoseModel(copy.deepcopy(model("yolov8n-pose.yaml")), data_kpt_shape=(5, 2), verbose=False)
    torch.save({"model": pose, "ema": None}, tmp_path / "pose.pt")
    yoloplug.swap("yolov8n-pose.yaml", {"C2f": "C2f_gnConv"}, output=tmp_path / "yolov8-gn-pose.yaml")
    done = yoloplug.transfer(tmp_path / "pose.pt", tmp_path / "yolov8n-gn-pose.yaml")
    assert done.outcome.rows[-1].carried == done.outcome.rows[-1].target.params


def test_a_missing_file_of_ultralytics_is_downloaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.utils import downloads

    asked = []

    def download(file: Path) -> str:
        asked.append(str(file))
        (tmp_path / "yolov8n.pt").write_bytes((folder / "best.pt").read_bytes())
        return str(tmp_path / "yolov8n.pt")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(downloads, "attempt_download_asset", download)
    yoloplug.transfer("yolov8n.pt", folder / "my.yaml")
    assert asked[0] == "yolov8n.pt"
    (tmp_path / "yolov8n.pt").unlink()
    monkeypatch.setattr(downloads, "attempt_download_asset", lambda file: str(file))
    with pytest.raises(YoloplugError, match=r"no checkpoint 'yolov8n.pt' here, and it could not be downloaded"):
        yoloplug.transfer("yolov8n.pt", folder / "my.yaml")


def test_widths_that_do_not_fit_are_told_and_only_they(folder: Path, tmp_path: Path) -> None:
    """`swap --match` changes every width: README once told to match a budget and then to fine-tune."""
    narrow = tmp_path / "narrow.yaml"
    narrow.write_text((folder / "my.yaml").read_text().replace("n: [0.33, 0.25, 1024]", "n: [0.33, 0.20, 1024]"))
    assert "0.20" in narrow.read_text()
    assert not yoloplug.transfer(folder / "best.pt", folder / "my.yaml", tmp_path / "a.pt").advice
    (line,) = yoloplug.transfer(folder / "best.pt", narrow, tmp_path / "b.pt").advice
    assert "met layers of another width" in line and "without --match" in line


def test_classes_and_key_points_of_the_source_where_both_are_for_such() -> None:
    from yoloplug.bridge.trace import image_channels
    from yoloplug.bridge.transfer import _with_classes

    def into(target: str, source: str, key: str = "nc", **theirs: Any) -> tuple[Any, list[str]]:
        notes: list[str] = []
        trained, file = SimpleNamespace(yaml=model(source) | theirs), SimpleNamespace(model=model(target))
        made = _with_classes(file, trained, notes)  # type: ignore[arg-type]
        assert file.model == model(target)
        return made.get(key), notes

    told = "built with the source's 7 classes; training takes those of its data"
    assert into("yolov8n-seg.yaml", "yolov8n.yaml", nc=7) == (7, [told])
    assert into("yolov8n-cls.yaml", "yolov8n-cls.yaml", nc=7) == (7, [told])
    assert into("yolov8n.yaml", "yolov8n-cls.yaml", nc=7) == (80, [])
    assert into("yolov8n-cls.yaml", "yolov8n.yaml", nc=7) == (1000, [])
    assert into("yolov8n.yaml", "yolov8n.yaml", nc=None) == (80, [])
    shape = {"kpt_shape": [5, 2]}
    assert into("yolov8n-pose.yaml", "yolov8n-pose.yaml", "kpt_shape", nc=1, **shape) == ([5, 2], [])
    assert into("yolov8n-pose.yaml", "yolov8n.yaml", "kpt_shape", nc=1, **shape) == ([17, 3], [])
    assert into("yolov8n.yaml", "yolov8n-pose.yaml", "kpt_shape", nc=80, **shape) == (None, [])
    for given, channels in (({"ch": 1}, 1), ({"channels": 4, "ch": 1}, 4), ({}, 3)):
        assert image_channels(given) == channels
