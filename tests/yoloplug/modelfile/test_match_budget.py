"""`--match`: the swapped model within 2 % of the stock budget, through constraints and steps, the same every time."""

from pathlib import Path

import pytest
import yaml

from yoloplug.modelfile.file import ModelFileError, parse, read
from yoloplug.modelfile.match_budget import TOLERANCE, Change, Cost, find, with_change
from yoloplug.modelfile.swapped import swap

TINY = """\
nc: 3
scales:
  n: [0.33, 0.25, 1024]
  s: [0.33, 0.50, 1024]
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [512, 3, 2]]
  - [-1, 1, C2f, [512, True]]
head:
  - [-1, 1, Conv, [1024, 3, 2]]
  - [-1, 1, Classify, [nc]]
"""


@pytest.mark.parametrize("budget", ["params", "flops"])
def test_matched_model_is_within_the_tolerance_of_stock(budget: str, tmp_path: Path) -> None:
    source, out = tmp_path / "tiny.yaml", tmp_path / "out.yaml"
    source.write_text(TINY)
    done = swap(str(source), {"C2f": "C2f_DCNv3"}, match=budget, imgsz=64, output=out)
    assert done.matched is not None and done.swapped is not None
    assert abs(getattr(done.swapped, budget) / getattr(done.stock, budget) - 1) > TOLERANCE, "nothing to match"
    assert abs(getattr(done.matched, budget) / getattr(done.stock, budget) - 1) <= TOLERANCE
    scales = yaml.safe_load(out.read_text())["scales"]
    assert scales["n"][1] == done.matched.width and scales["s"] == [0.33, 0.5, 1024]
    assert "# scale n: hidden width e = " in out.read_text() and "other scales are not matched" in str(done)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pairs", "options"),
    [
        ("yolov8n.yaml", {"C2f": "C2f_gnConv"}, {"order": 3}),
        ("yolov5s.yaml", {"C3": "C3_SCConv"}, {}),
        ("yolov9s.yaml", {"RepNCSPELAN4": "C2f_DCNv2"}, {}),
        ("yolo11s.yaml", {"C3k2": "C3k2_gnConv"}, {"order": 3}),
    ],
)
def test_stock_models_match(name: str, pairs: dict, options: dict) -> None:
    done = swap(name, pairs, options=options, match="params")
    assert done.matched is not None and abs(done.matched.params / done.stock.params - 1) <= TOLERANCE


STOCK = Cost(1_000_000, 10**9, 0.25)


@pytest.mark.slow
def test_search_is_deterministic_and_passes_over_refused_widths() -> None:
    file = parse(TINY.replace("C2f, [512, True]", "C2f_gnConv, [512, True, {order: 5}]"), "my.yaml")
    found = find(file, "params", STOCK, {2}, imgsz=64)
    assert found == find(file, "params", STOCK, {2}, imgsz=64)
    assert found.refused is not None and "gnConv: c=" in found.refused and "use order <= " in found.refused


def test_the_way_that_keeps_the_other_budget_is_taken(tmp_path: Path) -> None:
    """At scale n the width steps over the wish; the hidden width of the one swapped row does not move the others."""
    source = tmp_path / "tiny.yaml"
    source.write_text(TINY)
    done = swap(str(source), {"C2f": "C2f_SCConv"}, match="params", imgsz=64)
    assert done.matched is not None and abs(done.matched.flops / done.stock.flops - 1) < 0.1
    assert "hidden width e = " in done.notes[-1] and done.matched.width == 0.25
    row = yaml.safe_load(done.text)["backbone"][2]
    assert row[2] == "C2f_SCConv" and row[3][:3] == [512, True, 1] and row[3][3] > 0.5


def test_beyond_tolerance_is_exit_2_and_force_takes_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from yoloplug.cli import main

    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    command = ["swap", "tiny.yaml", "C2f=C2f_gnConv", "--match", "flops", "--imgsz", "64", "-o", "out.yaml"]
    command += ["--options", "{order: 7}"]
    assert main(command) == 2
    text = capsys.readouterr().err
    assert "nothing within 2% of the stock flops" in text and "--force takes the nearest" in text
    assert "stock" in text and "matched" in text and not Path("out.yaml").exists()
    assert main([*command, "--force"]) == 0 and Path("out.yaml").exists()


def test_a_file_without_scales_gets_a_width(tmp_path: Path) -> None:
    text = TINY.replace(TINY[TINY.index("scales") : TINY.index("backbone")], "")
    assert with_change(parse(text, "my.yaml"), Change(0.5))["width_multiple"] == 0.5
    source, out = tmp_path / "tiny.yaml", tmp_path / "out.yaml"
    source.write_text(text)
    done = swap(str(source), {"C2f": "SCConv"}, match="params", imgsz=64, output=out)
    assert done.matched is not None and done.matched.width != 1
    assert read(str(out)).model["width_multiple"] == done.matched.width


@pytest.mark.slow
def test_no_width_at_all_is_said() -> None:
    file = parse(TINY.replace("C2f, [512, True]", "C2f_gnConv, [512, True, {order: 99}]"), "my.yaml")
    with pytest.raises(ModelFileError, match=r"the blocks refuse every width; width .* is refused: row 2"):
        find(file, "params", STOCK, {2}, imgsz=64)
