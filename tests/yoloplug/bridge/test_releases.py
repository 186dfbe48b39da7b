"""The hook on Ultralytics releases from 8.2.0 on, each from its own `pip install --target`, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

INSTALLED = "installed"
RELEASES = ["8.2.0", "8.2.103", "8.3.0", "8.3.100", "8.3.253", "8.4.0", "8.4.100", INSTALLED]
"""First and last of each minor release, and where `parse_model` changed between; the last of 8.4 is installed."""


@pytest.fixture(scope="module", params=RELEASES)
def probe(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What release_probe.py printed under this release."""
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    if request.param != INSTALLED:
        folder = Path(request.config.cache.mkdir(f"ultralytics-{request.param}"))  # type: ignore[union-attr]
        if not (folder / "ultralytics").is_dir():
            install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
            subprocess.run([*install, f"ultralytics=={request.param}"], check=True, capture_output=True)
        environment["PYTHONPATH"] = str(folder)
    script = Path(__file__).with_name("release_probe.py")
    run = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    result: dict[str, Any] = json.loads(run.stdout.rsplit("PROBE ", 1)[1])
    assert request.param in (INSTALLED, result["version"])
    return result


@pytest.mark.parametrize("scale", ["n", "x"])
def test_our_rows_are_read_as_stock_rows_are(probe: dict[str, Any], scale: str) -> None:
    """Constructor arguments of ours and of the stock classes, for the same rows."""
    stock, ours = probe["arguments"][scale]
    assert stock == ours and len(stock) >= 8


@pytest.mark.parametrize("scale", ["n", "x"])
def test_rows_get_exact_constructor_arguments(probe: dict[str, Any], scale: str) -> None:
    first, w128, w256, half, repeats, small = {"n": (16, 32, 64, 16, 2, 1), "x": (80, 160, 320, 80, 6, 3)}[scale]
    stem = 64 if probe["stem_unscaled"] else first  # stock Conv up to 8.4.100 skips scaling where c2 == nc; ours never
    inner = [["gnConv", half, half, 3, 1, {"order": 2}]] * repeats
    inner_c3 = [["gnConv", w256 // 2, w256 // 2, 3, 1, {}]] * small
    assert probe[scale]["calls"] == [
        ["gnConv", stem, first, 3, 2, {"order": 2}],
        ["gnConv", first, w128, 3, 1, {"order": 3}],
        ["C2f_gnConv", w128, w128, repeats, True, {"order": 2}],
        *inner,
        ["C3_gnConv", w128, w256, small],
        *inner_c3,
        ["host Probe", w256, first, 3, 2, "act", "3x3"],
        ["Probe", w256, first, 3, 2, "act", "3x3", 1],
        ["host Probe", first, first, 3, 1, {"mode": "f", "size": None, "n": 7}],
        ["Probe", first, first, 3, 1, "f", None, 7],
    ]
    assert probe[scale]["repeats"] == repeats


@pytest.mark.parametrize("scale", ["n", "x"])
def test_log_shows_true_types_and_model_rebuilds_equal(probe: dict[str, Any], scale: str) -> None:
    assert probe[scale]["types"] == ["Conv", "gnConv", "gnConv", "C2f_gnConv", "C3_gnConv", "Probe", "Probe", "Detect"]
    assert probe[scale]["same_after_rebuild"] is True


def test_c2f_keeps_the_legacy_head_and_c3k2_asks_for_the_new_one(probe: dict[str, Any]) -> None:
    if probe["has_legacy"]:
        assert probe["n"]["legacy"] is True
    else:
        assert probe["n"]["legacy"] is None
    if probe["c3k2"]:
        c3k2_n, c3k2_x = probe["c3k2_n"], probe["c3k2_x"]
        assert c3k2_n["calls"][0] == ["C3k2_gnConv", c3k2_n["c1"], 64, 1, False, 0.25, {"order": 2}]
        assert c3k2_x["calls"][0] == ["C3k2_gnConv", c3k2_x["c1"], 320, 2, True, 0.25, {"order": 2}]
        assert (c3k2_n["inner"], c3k2_x["inner"]) == ("Bottleneck", "C3k")
        assert c3k2_n["legacy"] is (False if probe["has_legacy"] else None)
    else:
        assert probe["version"].startswith("8.2.")


def test_a_typo_names_the_file_the_row_and_the_nearest_names(probe: dict[str, Any]) -> None:
    assert probe["typo"].startswith("probe.yaml, row 0: unknown module 'C2f_gnConvv'; did you mean C2f_gnConv")


def test_norms_of_a_new_model_have_not_seen_the_black_image_of_the_stride_probe(probe: dict[str, Any]) -> None:
    assert probe["fresh"] is True


def test_stock_models_are_unchanged(probe: dict[str, Any]) -> None:
    assert probe["stock_models_equal"] == {"yolov8n.yaml": True, "yolov5n.yaml": True}


def test_what_cost_and_experiments_ask_of_the_bridge(probe: dict[str, Any]) -> None:
    found = probe["surface"]
    assert found["loss"] and found["args"] == 5.0 and found["task"] == ["detect", "segment"]
    assert found["fused"] < 1e-4 and found["norms"] == 0
    assert {"SGD", "AdamW", "auto"} <= set(found["optimizers"]) and found["names"] == ["epochs", "lr0", "mosaic"]
    assert found["faults"][0] is None and "mosaic" in found["faults"][1]
    assert found["loggers"].pop("tensorboard", True) is True and not any(found["loggers"].values())
    assert found["quiet"] == 30
    assert found["checkpoint"] == "DetectionModel"
    if tuple(map(int, probe["version"].split("."))) >= (8, 3, 100):
        assert found["loaded"] == "C2f_gnConv"
    else:
        assert found["loaded"] == "C2f_gnConv" or f"ultralytics {probe['version']} does not read it" in found["loaded"]


def test_trained_weights_reach_their_rows(probe: dict[str, Any]) -> None:
    assert probe["loading"] == {"same": True, "changed": True, "patched": True}


def test_restricted_build_accepts_our_rows(probe: dict[str, Any]) -> None:
    assert probe["restricted"] is (tuple(map(int, probe["version"].split("."))) >= (8, 4, 100))
