"""`import yoloplug` from Python: light, few names, each with an example."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import yoloplug
from yoloplug import BLOCKS


def test_importing_is_light_and_so_are_its_plain_modules() -> None:
    code = (
        "import sys, yoloplug; from yoloplug import files, names, terminal, errors, limits; "
        "yoloplug.__version__, yoloplug.__all__; print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "ultralytics", "yoloplug.blocks"} & set(found)


def test_dir_shows_what_is_public_and_nothing_else() -> None:
    assert set(dir(yoloplug)) == {*yoloplug.__all__, *BLOCKS}
    for name in dir(yoloplug):
        assert getattr(yoloplug, name) is not None
    assert yoloplug.__version__ == version("yoloplug")


@pytest.mark.parametrize("name", ["Inspection", "check", "create", "profile", "register", "swap"])
def test_every_function_shows_an_example(name: str) -> None:
    assert f"yoloplug.{name}(" in getattr(yoloplug, name).__doc__


def test_blocks_are_layers_for_any_network() -> None:
    assert yoloplug.gnConv(64)(torch.rand(1, 64, 8, 8)).shape == (1, 64, 8, 8)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'gnconv'; did you mean gnConv"):
        yoloplug.gnconv  # noqa: B018


def test_profile_tells_what_the_command_prints() -> None:
    told: list[str] = []
    done = yoloplug.profile("yolov8n-C2f_gnConv.yaml", imgsz=64, runs=1, say=told.append)
    assert [cost.file for cost in done.models] == ["yolov8n-C2f_gnConv.yaml"] and done.blocks[0].name == "gnConv"
    assert [line for text in told for line in text.splitlines() if line] == [x for x in str(done).splitlines() if x]


def test_both_packages_are_typed() -> None:
    root = Path(yoloplug.__file__).parents[1]
    assert (root / "yoloplug" / "py.typed").exists() and (root / "segplug" / "py.typed").exists()


def test_importing_the_blocks_is_light() -> None:
    """The blocks need torch only: torchvision comes with the first CUDA deformable convolution, Ultralytics never."""
    code = "import sys, yoloplug.blocks; print(sorted({'ultralytics', 'torchvision'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
