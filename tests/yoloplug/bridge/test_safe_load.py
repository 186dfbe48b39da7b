"""Checkpoints of every kind that a user may hand over: one line each, and no code of theirs runs."""

import importlib
import io
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from ultralytics import YOLO

import yoloplug
from yoloplug.bridge.checkpoints.description import CheckpointError
from yoloplug.bridge.checkpoints.safe_load import read_checkpoint
from yoloplug.bridge.look.inside import look_inside
from yoloplug.bridge.model import create, load
from yoloplug.cli import main


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as `YOLO.save` writes it, of a model with a block of ours."""
    file = tmp_path_factory.mktemp("whole") / "whole.pt"
    YOLO("yolov8n-C2f_gnConv.yaml").save(file)
    return file


class Runs:
    """A pickle of this calls a function when it is loaded."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call[0], self.call[1:]


def saved(value: Any) -> Callable[[bytes], bytes]:
    def write(_: bytes) -> bytes:
        content = io.BytesIO()
        torch.save(value, content)
        return content.getvalue()

    return write


def archive(_: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("word/document.xml", "<x/>")
    return content.getvalue()


def script(_: bytes) -> bytes:
    content = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Conv2d(1, 1, 1), torch.rand(1, 1, 2, 2)), content)
    return content.getvalue()


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "empty"),
    "cut": (lambda content: content[: len(content) // 2], "cut off"),
    "text": (lambda _: b"hello, I am no checkpoint\n" * 9, "no checkpoint"),
    "zeros": (lambda _: bytes(5000), "no checkpoint"),
    "picture": (lambda _: b"\x89PNG\r\n\x1a\n" + bytes(99), "no checkpoint"),
    "zip": (archive, "a zip archive, but none of torch.save"),
    "overwritten": (lambda content: content[:200] + bytes(3000) + content[3200:], "damaged"),
    "torchscript": (script, "TorchScript archive"),
    "list": (saved([1, 2]), "holds a list"),
    "number": (lambda _: pickle.dumps(3), "no checkpoint"),
    "state_dict": (saved(nn.Conv2d(1, 1, 1).state_dict()), "a state_dict, weights without their network"),
    "other dict": (saved({"model": None, "epoch": 3}), "holds model, epoch, but no Ultralytics model"),
    "empty dict": (saved({}), "holds nothing, but no Ultralytics model"),
    "many keys": (saved(dict.fromkeys("abcdef")), "holds a, b, c, d, e, but no Ultralytics model"),
    "bare layer": (saved({"model": nn.Conv2d(1, 1, 1)}), "but no Ultralytics model"),
}


@pytest.mark.parametrize("command", ["profile", "look"])
@pytest.mark.parametrize("kind", sorted(DAMAGED))
def test_a_broken_checkpoint_is_one_line(
    kind: str, command: str, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, message = DAMAGED[kind]
    file, photo = tmp_path / "broken.pt", tmp_path / "photo.png"
    file.write_bytes(spoil(whole.read_bytes()))
    photo.write_bytes(_picture())
    assert main([command, str(file), *([str(photo)] if command == "look" else [])]) == 2
    error = capsys.readouterr().err
    assert message in error and str(file) in error and error.count("\n") == 1 and error.startswith("yoloplug: ")


def _picture() -> bytes:
    import cv2
    import numpy as np

    return bytes(cv2.imencode(".png", np.zeros((32, 32, 3), np.uint8))[1])


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("command", ["profile", "look"])
def test_code_in_a_checkpoint_does_not_run(
    command: str, old_format: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, trace, photo = tmp_path / "evil.pt", tmp_path / "ran", tmp_path / "photo.png"
    photo.write_bytes(_picture())
    evil = {"model": Runs(os.mkdir, str(trace))}
    torch.save(evil, file, _use_new_zipfile_serialization=not old_format)
    arguments = [command, str(file), *([str(photo)] if command == "look" else [])]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "mkdir" in error and "--trust" in error and error.count("\n") == 1
    assert not trace.exists()
    assert main([*arguments, "--trust"]) == 2  # it holds no model
    assert trace.exists()


def test_nor_from_python_unless_it_is_trusted(tmp_path: Path) -> None:
    file, trace, photo = tmp_path / "evil.pt", tmp_path / "ran", tmp_path / "photo.png"
    photo.write_bytes(_picture())
    torch.save({"model": Runs(os.mkdir, str(trace))}, file)
    for call in (
        lambda: yoloplug.Inspection(file, photo),
        lambda: look_inside(file, photo),
        lambda: create(file),
        lambda: load(file),
        lambda: yoloplug.transfer(file, "yolov8n.yaml"),
    ):
        with pytest.raises(CheckpointError, match=r"mkdir.*--trust"):
            call()
    assert not trace.exists()


def test_a_model_that_is_built_while_loading_runs_no_code(tmp_path: Path) -> None:
    """The allowed class DetectionModel builds from a YAML's dict, whose activation and rows stock code would run."""
    from ultralytics.nn.tasks import DetectionModel

    trace = tmp_path / "ran"
    head = [[[-1], 1, "Detect", ["nc"]]]
    for model in (
        {"activation": f"__import__('os').mkdir({str(trace)!r})", "backbone": [[-1, 1, "Conv", [8]]], "head": head},
        {"backbone": [[-1, 1, "torch_load", [str(tmp_path / "other.pt")]]], "head": head},
    ):
        torch.save({"model": Runs(DetectionModel, {"nc": 1, **model})}, tmp_path / "evil.pt")
        torch.save(Runs(os.mkdir, str(trace)), tmp_path / "other.pt")
        with pytest.raises(CheckpointError) as raised:
            read_checkpoint(tmp_path / "evil.pt")
        assert re.search("activation|no layer", str(raised.value.__cause__)) and not trace.exists()


def test_names_of_a_checkpoint_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleeper.py").write_text(f"import os; os.mkdir({str(tmp_path / 'ran')!r})\nclass Layer: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil.pt").write_bytes(saved({"model": 1})(b""))
    content = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "evil.pt") as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            data = b"\x80\x02csleeper\nLayer\n)R." if name.endswith("data.pkl") else old.read(name)
            new.writestr(name, data)
    (tmp_path / "evil.pt").write_bytes(content.getvalue())
    with pytest.raises(CheckpointError, match=r"sleeper\.Layer"):
        read_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_whole_checkpoints_pass(whole: Path, tmp_path: Path) -> None:
    assert type(read_checkpoint(whole)["model"].model[2]).__name__ == "C2f_gnConv"
    for name in ("yolov8n-seg.yaml", "yolov8n-cls.yaml", "yolov8n-pose.yaml", "yolov8n-obb.yaml", "yolo11n.yaml"):
        YOLO(name).save(tmp_path / "stock.pt")
        assert read_checkpoint(tmp_path / "stock.pt")["model"].yaml


def test_a_checkpoint_of_a_gpu_is_read_on_the_cpu(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    real = torch.load
    monkeypatch.setattr(torch, "load", lambda file, **given: asked.append(given) or real(file, **given))
    read_checkpoint(whole)
    assert asked == [{"map_location": "cpu", "weights_only": True}]


def test_classes_that_moved_are_where_we_look_for_them() -> None:
    from yoloplug.bridge.checkpoints.safe_load import _MOVED, _allowed

    assert set(_MOVED) == {
        "ultralytics.yolo.utils.IterableSimpleNamespace",
        "ultralytics.nn.modules.block.Silence",
        "ultralytics.nn.tasks.YOLOv10DetectionModel",
        "ultralytics.utils.loss.v10DetectLoss",
    }
    for old, name in _MOVED.items():
        module, _, found = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), found), type) and _allowed(old) is _allowed(name)
        assert _allowed(name) is not None


def test_what_a_checkpoint_may_name() -> None:
    from ultralytics.utils import IterableSimpleNamespace, loss, tal

    from yoloplug.bridge.checkpoints.safe_load import _allowed
    from yoloplug.preserve.beside import Beside

    assert _allowed("ultralytics.utils.IterableSimpleNamespace") is IterableSimpleNamespace
    assert _allowed("ultralytics.utils.loss.v8DetectionLoss") is loss.v8DetectionLoss
    assert _allowed("torch.nn.modules.conv.Conv2d") is nn.Conv2d
    assert _allowed("yoloplug.preserve.beside.Beside") is Beside
    assert _allowed("ultralytics.utils.tal.TaskAlignedAssigner") is tal.TaskAlignedAssigner
    for transform in ("Compose", "Normalize", "Resize", "CenterCrop", "ToTensor"):
        name = f"torchvision.transforms.transforms.{transform}"
        assert _allowed(name) is getattr(torchvision.transforms, transform)
    mode = torchvision.transforms.InterpolationMode
    assert _allowed("torchvision.transforms.functional.InterpolationMode") is mode
    for path in ("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath"):
        assert _allowed(path) is type(Path())
    for name in ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"):
        assert _allowed(name)(np.dtype("f8"), np.float64(3).tobytes()) == 3
    for name in (
        "ultralytics.utils.loss.torch",
        "ultralytics.utils.loss.TaskAlignedAssigner",  # where it is not made
        "ultralytics.utils.tal.make_anchors",  # a function
        "ultralytics.nn.tasks.torch_safe_load",
        "ultralytics.nn.modulesque.Conv",
        "ultralytics.utils.SETTINGS",
        "torch.load",
        "posix.system",
        "torch.nn.modules.conv.Nothing",
        "yoloplug.blocks.nothing.Nothing",
    ):
        assert _allowed(name) is None, name


def test_numbers_of_numpy_and_paths_pass_and_three_names_are_told(whole: Path, tmp_path: Path) -> None:
    content = read_checkpoint(whole) | {"best": np.float64(0.5), "at": Path("here")}
    torch.save(content, tmp_path / "x.pt")
    found = read_checkpoint(tmp_path / "x.pt")
    assert found["best"] == 0.5 and found["at"] == Path("here")
    for i, call in enumerate((os.mkdir, os.rmdir, os.remove, os.chdir)):
        content[str(i)] = Runs(call, "x")
    torch.save(content, tmp_path / "x.pt")
    told = r"it names posix\.chdir, posix\.mkdir, posix\.remove, which no model needs"
    with pytest.raises(CheckpointError, match=told):
        read_checkpoint(tmp_path / "x.pt")


def test_an_older_torch_cannot_tell_what_a_file_names(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.serialization, "get_unsafe_globals_in_checkpoint")
    with pytest.raises(CheckpointError, match=r"whole\.pt: reading it safely needs torch 2\.6; you have"):
        read_checkpoint(whole)


def test_a_class_that_this_version_lacks_is_explained(whole: Path, tmp_path: Path) -> None:
    """By `yoloplug profile` and by stock `YOLO(...)`, which would try to install a package of the module's name."""
    content = io.BytesIO()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"yoloplug.blocks.gn_conv", b"yoloplug.blocks.gn_comv"))
    file = tmp_path / "newer.pt"
    file.write_bytes(content.getvalue())
    message = r"newer\.pt: it names yoloplug\.blocks\.gn_comv\.\w+, which yoloplug 0\.\S+ does not have.*pip install -U"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(file)
    with pytest.raises(ImportError, match=message):
        YOLO(str(file))


def test_the_plug_in_turned_off_says_so_about_its_rows(tmp_path: Path) -> None:
    model = "nc: 1\nbackbone:\n- [-1, 1, C2f_gnConv, [8, True]]\nhead:\n- [[-1], 1, Detect, [nc]]\n"
    (tmp_path / "yolov8n-mine.yaml").write_text(model)
    code = "from ultralytics import YOLO; YOLO('yolov8n-mine.yaml')"
    environment = os.environ | {"YOLOPLUG_DISABLE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "C2f_gnConv is a block of yoloplug, which YOLOPLUG_DISABLE=1 turns off; unset it" in done.stderr
