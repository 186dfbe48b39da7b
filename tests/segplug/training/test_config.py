"""Settings from a file: typed, misspellings named, saved so that they can be given back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from segplug.errors import SegplugError
from segplug.settings import typed
from segplug.training.config import TrainConfig, read_settings


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def test_yaml_gives_typed_settings(tmp_path: Path) -> None:
    text = "data: cracks\nlr: 1e-3\nepochs: 7\nprecision: 32\noptions: {gate: sigmoid}\nencoder_weights: null\n"
    settings = read_settings(written(tmp_path, text))
    assert settings == {
        "data": "cracks",
        "lr": 0.001,
        "epochs": 7,
        "precision": "32",
        "options": {"gate": "sigmoid"},
        "encoder_weights": None,
    }
    config = TrainConfig(**settings)
    (tmp_path / "config.json").write_text(json.dumps(config.plain()))
    assert TrainConfig(**read_settings(tmp_path / "config.json")) == config


def test_paths_become_text() -> None:
    assert TrainConfig(data=Path("a/b")).data == "a/b"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 5", r"run\.yaml:1: epoch is no setting; did you mean epochs or keep_epochs\? \(valid: epochs, "),
        ("data: a\nepochs: five", r"run\.yaml:2: epochs must be a whole number, got 'five'"),
        ("epochs: 5.5", r"epochs must be a whole number, got 5\.5"),
        ("epochs: true", "epochs must be a whole number, got True"),
        ("lr: .nan", "lr must be a number, got nan"),
        ("lr: fast", "lr must be a number, got 'fast'"),
        ("model: 3", "model must be text, got 3"),
        ("resume: 'yes'", "resume must be true or false, got 'yes'"),
        ("precision: 64", "precision must be one of auto, 32, bf16, 16, got 64"),
        ("options: [1]", r"options must be names with values, got \[1\]"),
        ("source_rule: 1", "source_rule must be text or none, got 1"),
        ("- epochs", "must hold settings by name"),
        ("a: [", r"run\.yaml: not readable as YAML"),
        ("\x00", "not readable as YAML"),
    ],
)
def test_a_wrong_file_is_one_message(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SegplugError, match=message) as error:
        read_settings(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file_and_broken_json(tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match=r"none\.yaml: no such file"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(SegplugError, match=r"c\.json: not readable"):
        read_settings(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("value", "hint", "result"),
    [(1, float, 1.0), ("1e-3", float, 0.001), (None, int | None, None), ([1], Sequence | str, [1]), (True, bool, True)],
)
def test_values_that_fit(value: Any, hint: Any, result: Any) -> None:
    assert typed("x", value, hint) == result and type(typed("x", value, hint)) is type(result)
