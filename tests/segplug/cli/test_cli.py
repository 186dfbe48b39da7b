"""The `segplug` command as typed, its help and its errors."""

import json
from pathlib import Path

import pytest

from segplug.cli import main
from segplug.training.config import TrainConfig

TINY = ["--encoder", "tu-lcnet_050", "--option", "encoder_depth=4", "--option", "decoder_channels=[32,16,16]"]
FAST = ["--option", "detail_channels=8", "--epochs", "1", "--batch", "2", "--crop", "32", "--device", "cpu"]


def test_train_eval_predict(cracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, found = str(tmp_path / "run"), tmp_path / "found"
    assert main(["train", "--data", str(cracks), "--out", run, "--val-split", "0.25", *TINY, *FAST]) == 0
    assert run in capsys.readouterr().out
    scores = str(tmp_path / "scores.json")
    assert main(["eval", f"{run}/best.ckpt", "--data", str(cracks), "--out", scores, "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert f"{json.loads(Path(scores).read_text())['metrics']['iou_crack']:.4f}" in shown and "iou_crack" in shown
    photo = str(cracks / "test" / "images" / "b.png")
    assert main(["predict", photo, "--model", f"{run}/last.ckpt", "--out", str(found), "--device", "cpu"]) == 0
    assert [p.relative_to(found).as_posix() for p in sorted(found.rglob("*.png"))] == ["masks/b.png", "overlays/b.png"]


def test_flags_win_over_the_config_file(cracks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[TrainConfig] = []
    monkeypatch.setattr("segplug.training.run.train", lambda config: seen.append(config) or Path(config.out))
    file = tmp_path / "run.yaml"
    file.write_text(
        "data: here\nlr: 1e-4\nencoder_weights: imagenet\nresume: true\noptions: {gate: sigmoid, groups: 4}\n"
    )
    flags = ["--lr", "0.1", "--encoder-weights", "none", "--no-resume", "--option", "groups=8"]
    assert main(["train", "--config", str(file), *flags]) == 0
    assert seen == [TrainConfig(data="here", lr=0.1, options={"gate": "sigmoid", "groups": 8})]


@pytest.mark.parametrize("command", ["check", "draw", "train", "eval", "predict", "look", "export", "models"])
def test_help_ends_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"example: segplug {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "segplug train: no data: give --data DIR, or a line `data: DIR` in the config file"),
        (["train", "--config", "none.yaml"], "segplug train: none.yaml: no such file"),
        (["train", "--data", "nowhere"], "segplug train: nowhere: no such data folder"),
        (["train", "--data", ".", "--epochs", "0"], "segplug train: epochs must be at least 1, got 0"),
        (["eval", "none.ckpt", "--data", "nowhere"], "segplug eval: nowhere: no such data folder"),
        (["predict", "--model", "none.ckpt", "x", "--out", "y"], "segplug predict: x: no such file or folder"),
        (["models", "--encoders", "zzz"], "segplug models: no encoder name contains 'zzz'"),
    ],
)
def test_mistakes_are_one_line_and_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err == message + "\n"


@pytest.mark.parametrize(
    "arguments",
    [["train", "--data", "x", "--option", "gate"], ["train", "--epochs", "x"], ["train", "--precision", "64"]],
)
def test_wrong_usage_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: segplug train" in capsys.readouterr().err
