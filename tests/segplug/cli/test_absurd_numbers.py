"""Numbers that nobody means end in one line and code 2 before anything is computed."""

import math
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from segplug.cli import main
from segplug.errors import SegplugError
from segplug.training.config import TrainConfig

RECORDED = Path(__file__).parents[1] / "recorded" / "format1"
ABSURD = ["1e308", "nan", "-inf", str(10**30), "9" * 5000]
NUMBERS = sorted(
    name
    for name, hint in get_type_hints(TrainConfig).items()
    if {int, float} & {hint, *get_args(hint)} and str not in get_args(hint)
)
LIMITS = {f.name: f.metadata["range"][1] for f in fields(TrainConfig) if f.metadata["range"][1] < math.inf}


def outcome(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The last line of the refusal."""
    try:
        code = main(arguments)
    except SystemExit as stop:  # argparse
        code = int(str(stop.code))
    shown = capsys.readouterr()
    assert code == 2 and shown.out == "", arguments
    return shown.err.rstrip("\n").split("\n")[-1]


@pytest.mark.parametrize("name", NUMBERS)
def test_train_refuses_them(name: str, cracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flag = "--" + name.replace("_", "-")
    for value in ABSURD:
        line = outcome(["train", "--data", str(cracks), "--out", str(tmp_path / "run"), f"{flag}={value}"], capsys)
        assert line.startswith("segplug train: ") and (flag in line or name in line), line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "limit"), sorted(LIMITS.items()))
def test_limits_say_their_value_and_hold(name: str, limit: float) -> None:
    with pytest.raises(SegplugError, match=rf"{name} must be at most {limit}, got"):
        TrainConfig("here", **{name: limit + 32})  # type: ignore[arg-type]
    TrainConfig("here", **{name: limit})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["eval", str(RECORDED / "best.ckpt"), "--data", "DATA"], "--tile"),
        (["eval", str(RECORDED / "best.ckpt"), "--data", "DATA"], "--worst"),
        (["eval", str(RECORDED / "best.ckpt"), "--data", "DATA"], "--threshold"),
        (["export", str(RECORDED / "best.ckpt"), "--out", "OUT/m.onnx"], "--opset"),
        (["export", str(RECORDED / "best.ckpt"), "--out", "OUT/m.onnx"], "--threshold"),
        (["look", str(RECORDED / "best.ckpt"), "PHOTO"], "--threshold"),
    ],
)
def test_other_commands_refuse_them(
    arguments: list[str], flag: str, cracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"DATA": str(cracks), "OUT": str(tmp_path), "PHOTO": str(cracks / "test" / "images" / "a.png")}
    for name, place in places.items():
        arguments = [argument.replace(name, place) for argument in arguments]
    for value in ABSURD:
        line = outcome([*arguments, f"{flag}={value}"], capsys)
        assert line.startswith(f"segplug {arguments[0]}: ") and flag[2:] in line, line
    assert not list(tmp_path.glob("*.onnx"))
