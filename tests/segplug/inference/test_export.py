"""Exported networks take any size, equal the checkpoint, and need no model code."""

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch

from segplug.cli import main
from segplug.errors import SegplugError
from segplug.inference.checkpoint import FORMAT, load_model
from segplug.inference.export import TOLERANCE, export_model
from segplug.inference.predictor import load
from segplug.models.create import create_model
from tests.segplug.conftest import draw_crack

TINY = {"encoder_depth": 4, "decoder_channels": [32, 16, 16]}
Save = Callable[..., Path]


@pytest.fixture
def untrained(tmp_path: Path) -> Save:
    """untrained(name, encoder, **options) -> checkpoint of a random network."""

    def save(name: str = "gbcnet", encoder: str | None = "tu-lcnet_050", **options: Any) -> Path:
        torch.manual_seed(0)
        options = {**TINY, "detail_channels": 8, **options} if name == "gbcnet" else options
        weights = create_model(name, encoder, **options).state_dict()
        model = {"name": name, "encoder": encoder, "in_channels": 3, "classes": 1, **options}
        train = {"data": "data/bridge/", "seed": 0, "val_split": 0.1, "source_rule": None}
        about = {"format": FORMAT, "model": model, "train": train, "row": {"epoch": 3}}
        path = tmp_path / "best.ckpt"
        torch.save({"state_dict": {f"model.{k}": v for k, v in weights.items()}, "segplug": about}, path)
        return path

    return save


def same_on_photos(one: Path, other: Path, smallest: int = 1) -> None:
    for size in ((61, 90), (33, 128), (5, 7)):
        photo = draw_crack(0, *size)[0] if min(size) > 8 else np.full((*size, 3), 90, np.uint8)
        found, expected = (load(path, "cpu")(photo) for path in (one, other))
        assert found.dtype == np.float32 and found.shape == size
        if min(size) >= smallest:
            np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("options", [{}, {"upsample": "dysample"}])
def test_onnx_equals_the_checkpoint_at_any_size(untrained: Save, options: dict[str, Any]) -> None:
    checkpoint = untrained(**options)
    done = export_model(checkpoint, threshold=0.3)
    assert done.path == checkpoint.with_suffix(".onnx") and done.size_multiple_px == 1
    assert len(done.difference) == 2 and max(done.difference) < TOLERANCE
    same_on_photos(done.path, checkpoint)
    assert load(done.path, "cpu").threshold == 0.3
    about = {e.key: json.loads(e.value) for e in onnx.load(done.path).metadata_props}
    assert about["segplug.model"] == "gbcnet" and about["segplug.data"] == "bridge"
    assert about["segplug.stride_px"] == 32 and about["segplug.normalisation"]["mean"] == [0.485, 0.456, 0.406]


def test_smp_networks_too(untrained: Save) -> None:
    checkpoint = untrained("unet", "tu-lcnet_050", decoder_channels=[32, 16, 16, 8, 8])
    same_on_photos(export_model(checkpoint).path, checkpoint)


@pytest.mark.slow
def test_torch_export_equals_the_checkpoint_on_padded_sizes(untrained: Save) -> None:
    checkpoint = untrained("unet", "tu-lcnet_050", decoder_channels=[32, 16, 16, 8, 8])
    done = export_model(checkpoint, "exported")
    assert done.path.suffix == ".pt2" and done.size_multiple_px == 32
    same_on_photos(done.path, checkpoint, smallest=33)  # below, more is padded than the checkpoint's network pads


WITHOUT_TORCH = """
import sys
sys.modules.update(torch=None, segmentation_models_pytorch=None, timm=None, lightning=None)
from segplug.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_predict_runs_on_onnx_without_torch(untrained: Save, tmp_path: Path) -> None:
    checkpoint = untrained()
    (tmp_path / "photos").mkdir()
    for i, size in enumerate(((64, 64), (300, 410))):
        assert cv2.imwrite(str(tmp_path / "photos" / f"{i}.png"), draw_crack(i, *size)[0])
    assert main(["export", str(checkpoint)]) == 0
    common = [str(tmp_path / "photos"), "--tile", "256", "--device", "cpu", "--save", "masks,probabilities"]
    command = ["predict", "--model", str(tmp_path / "best.onnx"), *common, "--out", str(tmp_path / "a")]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *command], capture_output=True, text=True, env={**os.environ}
    )
    assert run.returncode == 0, run.stderr
    assert main(["predict", "--model", str(checkpoint), *common, "--out", str(tmp_path / "b")]) == 0
    for i in range(2):
        one, other = (cv2.imread(str(tmp_path / out / "probabilities" / f"{i}.png"), -1) for out in "ab")
        np.testing.assert_allclose(one / 65535, other / 65535, atol=TOLERANCE)
        near = np.abs(other / 65535 - 0.5) < TOLERANCE
        one, other = (cv2.imread(str(tmp_path / out / "masks" / f"{i}.png"), -1) for out in "ab")
        assert (one == other)[~near].all()


def test_torchscript_and_what_the_command_prints(untrained: Save, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = untrained()
    assert main(["export", str(checkpoint), "--format", "torchscript"]) == 0
    same_on_photos(checkpoint.with_suffix(".torchscript"), checkpoint)
    lines = capsys.readouterr().out.splitlines()
    told = re.fullmatch(r"2 x 170x200: probabilities differ by at most (\S+) from the checkpoint's", lines[0])
    assert told and float(told[1]) < 1e-5  # the traced file has torch's operations, the checkpoint's network C kernels
    assert lines[2] == f"{checkpoint.with_suffix('.torchscript')} takes any batch; height and width: any"


def test_the_mean_of_runs_counts_one_given_twice_twice(untrained: Save, tmp_path: Path) -> None:
    first = untrained().rename(tmp_path / "first.ckpt")
    contents = torch.load(first, weights_only=True)
    contents["state_dict"] = {k: v * 1.03 if v.is_floating_point() else v for k, v in contents["state_dict"].items()}
    contents["segplug"]["row"] = {"epoch": 7}
    torch.save(contents, tmp_path / "second.ckpt")
    given = ["first.ckpt", "second.ckpt", "first.ckpt"]
    mean = export_model([tmp_path / name for name in given], "half", tmp_path / "mean.ckpt")
    before, after = load_model(first)[0].state_dict(), load_model(mean.path)[0].state_dict()
    for name, value in before.items():
        expected = value * 1.01 if value.is_floating_point() else value
        torch.testing.assert_close(after[name], expected, rtol=1e-3, atol=1e-3)
    told = load_model(mean.path)[1]["mean_of"]
    assert told == [{"checkpoint": n, "epoch": 7 if n[0] == "s" else 3, "data": "data/bridge/"} for n in given]


@pytest.mark.parametrize("other", [{"decoder_channels": [32, 16, 8]}, {"preprocessing": [0.5] * 3}])
def test_a_mean_of_different_networks_is_refused(untrained: Save, tmp_path: Path, other: dict[str, Any]) -> None:
    first = untrained().rename(tmp_path / "first.ckpt")
    second = untrained(**{k: v for k, v in other.items() if k == "decoder_channels"})
    if "preprocessing" in other:
        contents = torch.load(second, weights_only=True)
        contents["segplug"]["preprocessing"] = {"mean": [0.5] * 3, "std": [0.5] * 3}
        torch.save(contents, second)
    with pytest.raises(SegplugError, match=r"best\.ckpt: a mean is of one network's weights; .*first\.ckpt has other"):
        export_model([first, second])


def test_a_file_that_differs_is_not_kept(untrained: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = untrained()
    monkeypatch.setattr("segplug.inference.export.TOLERANCE", -1.0)
    with pytest.raises(SegplugError, match=r"best\.onnx: not written; its probabilities differ by up to"):
        export_model(checkpoint)
    assert [path.name for path in checkpoint.parent.iterdir()] == ["best.ckpt"]


def test_what_cannot_be_exported_is_refused_with_its_reason(untrained: Save, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SegplugError, match=r"pspnet cannot be exported as onnx: .*adaptive_avg_pool2d.*another format"):
        export_model(untrained("pspnet", "tu-lcnet_050"))
    assert capfd.readouterr().out == ""
    with pytest.raises(SegplugError, match=r"scsegamba cannot be exported for any image size: .*scan"):
        export_model(untrained("scsegamba", None))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "onx"}, "unknown format 'onx'; valid: onnx, torchscript, exported"),
        ({"out": "m.pt2"}, r"m\.pt2: a file of format onnx is called m\.onnx"),
        ({"threshold": 0.0}, "threshold must lie between 0 and 1"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SegplugError, match=message):
        export_model("best.ckpt", **options)


def test_missing_packages_are_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SegplugError, match=r"onnxruntime is not installed; pip install 'yoloplug\[export\]'"):
        export_model("best.ckpt")
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(SegplugError, match="onnxruntime is not installed"):
        load(tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["m.onnx", "m.pt2", "m.torchscript"])
def test_a_broken_model_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SegplugError, match="no such model file"):
        load(tmp_path / name)
    (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(SegplugError, match=rf"{name}: not a readable .*model.*; (export|copy) it again"):
        load(tmp_path / name, "cpu")


def test_models_of_other_programs_are_refused(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    graph = onnx.helper.make_graph([node], "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(SegplugError, match=r"m\.onnx: no model of `segplug export`"):
        load(tmp_path / "m.onnx", "cpu")
    with pytest.raises(SegplugError, match="unknown device 'tpu' for ONNX"):
        load(tmp_path / "m.onnx", "tpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), str(tmp_path / "m.torchscript"))
    with pytest.raises(SegplugError, match=r"m\.torchscript: no model of `segplug export`"):
        load(tmp_path / "m.torchscript", "cpu")
    with pytest.raises(SegplugError, match="runs where it was traced, on the cpu, not on 'cuda'"):
        load(tmp_path / "m.torchscript", "cuda")
