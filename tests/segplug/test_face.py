"""`import segplug`: few names, all typed and documented, and nothing heavy imported for them."""

import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import segplug

RECORDED = Path(__file__).parent / "recorded" / "format1"


def test_dir_shows_what_is_public_and_no_more() -> None:
    assert dir(segplug) == sorted(segplug.__all__)
    assert {"train", "evaluate", "predict", "measure", "load", "create_model", "__version__"} <= set(segplug.__all__)
    assert segplug.__version__ == version("yoloplug")
    with pytest.raises(AttributeError, match="'segplug' has no attribute 'tarin'"):
        getattr(segplug, "tarin")  # noqa: B009


@pytest.mark.parametrize("name", [name for name in segplug.__all__ if not name.startswith("_")])
def test_every_name_is_typed_and_documented(name: str) -> None:
    value = getattr(segplug, name)
    assert inspect.getdoc(value)
    called = inspect.signature(value.__init__ if inspect.isclass(value) else value)
    assert all(p.annotation is not p.empty for p in called.parameters.values() if p.name not in ("self", "args"))
    guide = (Path(__file__).parents[2] / "docs" / "segmentation.md").read_text(encoding="utf-8")
    assert name in ("GBCNet", "SCSegamba") or f"`{name}`" in guide


def test_names_that_need_no_torch_import_none() -> None:
    code = """import sys, segplug
segplug.TrainConfig, segplug.SegplugError, segplug.__version__, dir(segplug)
heavy = {'torch', 'cv2', 'lightning', 'ultralytics'} & set(sys.modules)
assert not heavy, heavy"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_py_typed_is_there() -> None:
    assert (Path(segplug.__file__).parent / "py.typed").is_file()


def test_a_loaded_model_is_called_with_a_photo() -> None:
    expected = np.load(RECORDED / "expected.npz")
    predictor = segplug.load(str(RECORDED / "best.ckpt"), device="cpu")
    np.testing.assert_allclose(predictor(expected["photo"]), expected["best"], atol=2e-5)
    large = np.tile(expected["photo"], (8, 5, 1))
    assert predictor(large, tile=256).shape == large.shape[:2]
    with pytest.raises(segplug.SegplugError, match=r"a photo must be \(H, W, 3\) RGB uint8, got float64 \(50, 75, 3\)"):
        predictor(expected["photo"] / 255)
    with pytest.raises(segplug.SegplugError, match="tile must lie between 256 and 65536 px, got 32"):
        predictor(large, tile=32)
