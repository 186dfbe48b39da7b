"""What can be said without torch is said at once."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "timm", "segmentation_models_pytorch", "lightning", "ultralytics", "albumentations"}
HEAVY |= {"cv2", "scipy", "skimage", "matplotlib", "PIL", "pandas"}
COMMANDS = ["check", "draw", "train", "eval", "predict", "measure", "look", "export", "models"]


@pytest.mark.parametrize(
    "words", ["--help", "models", "models --encoders hornet", "predict", *(f"{name} --help" for name in COMMANDS)]
)
def test_no_heavy_import(words: str) -> None:
    code = f"""
import sys
from segplug.cli import main
try:
    main({words.split()})
except SystemExit:
    pass
print(sorted({HEAVY} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
