"""`yoloplug swap`: only the asked rows change, arguments keep their meaning, every family builds and trains."""

from pathlib import Path
from typing import Any

import pytest
from ultralytics.nn.tasks import yaml_model_load

from yoloplug.cli import main
from yoloplug.modelfile.file import ModelFile, ModelFileError, read
from yoloplug.modelfile.report import traced
from yoloplug.modelfile.swapped import Swapped, select, swap
from yoloplug.modelfile.translate import translate

ORDER_3 = {"order": 3}


def changed_lines(name: str, result: Swapped) -> dict[str, str]:
    """Old line -> new line; the header does not count."""
    old, new = read(name).text.splitlines(), result.text.splitlines()[1:]
    assert len(old) == len(new)
    return {a.strip(): b.strip() for a, b in zip(old, new, strict=True) if a != b}


def test_text_stays_to_the_letter_and_the_first_line_says_the_command(tmp_path: Path) -> None:
    out = tmp_path / "yolov8-gn.yaml"
    result = swap("yolov8n.yaml", {"C2f": "C2f_gnConv"}, "P3,P4", ORDER_3, imgsz=64, output=out)
    assert result.text == out.read_bytes().decode() and result.rows == [4, 6, 12, 15, 18]
    assert changed_lines("yolov8n.yaml", result) == {
        "- [-1, 6, C2f, [256, True]]": "- [-1, 6, C2f_gnConv, [256, True, {order: 3}]]",
        "- [-1, 6, C2f, [512, True]]": "- [-1, 6, C2f_gnConv, [512, True, {order: 3}]]",
        "- [-1, 3, C2f, [512]] # 12": "- [-1, 3, C2f_gnConv, [512, {order: 3}]] # 12",
        "- [-1, 3, C2f, [256]] # 15 (P3/8-small)": "- [-1, 3, C2f_gnConv, [256, {order: 3}]] # 15 (P3/8-small)",
        "- [-1, 3, C2f, [512]] # 18 (P4/16-medium)": "- [-1, 3, C2f_gnConv, [512, {order: 3}]] # 18 (P4/16-medium)",
    }
    first = result.text.splitlines()[0]
    command = "# yoloplug swap yolov8n.yaml C2f=C2f_gnConv --where P3,P4 --options '{order: 3}' --imgsz 64 -o"
    assert first == f"{command} {out}"
    assert result.call == str(tmp_path / "yolov8n-gn.yaml")
    assert yaml_model_load(result.call)["scale"] == "n"


def test_windows_line_ends_and_block_style_survive(tmp_path: Path) -> None:
    source = tmp_path / "mine.yaml"
    rows = "nc: 2\r\nbackbone:\r\n  - [-1, 1, Conv, [8, 3, 2]]\r\n  - - -1\r\n    - 1\r\n    - 'C2f'  # quoted\r\n"
    rows += "    - [16,\r\n       True]\r\nhead:\r\n  - [-1, 1, Classify, [nc]]\r\n"
    source.write_bytes(rows.encode())
    result = swap(str(source), {"C2f": "C2f_SCConv"}, imgsz=64)
    assert result.text.split("\r\n", 1)[1] == rows.replace("'C2f'", "C2f_SCConv")


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("backbone", [2, 4, 6, 8]),
        ("neck", [12, 15, 18, 21]),
        ("P3", [4, 15]),
        ("all", [2, 4, 6, 8, 12, 15, 18, 21]),
        ("4,21", [4, 21]),
        ("backbone,P5", [2, 4, 6, 8, 21]),
    ],
)
def test_where(where: str, rows: list[int], yolov8n: tuple[ModelFile, list[Any]]) -> None:
    file, traces = yolov8n
    assert sorted(select(file, traces, {"C2f": "C2f_SCConv"}, where, 64)) == rows


@pytest.fixture(scope="module")
def yolov8n() -> tuple[ModelFile, list[Any]]:
    file = read("yolov8n.yaml")
    return file, traced(file, file.model, 64)


@pytest.mark.parametrize(
    ("name", "index", "target", "row", "lost"),
    [
        ("yolov5n.yaml", 2, "C2f_SCConv", (3, [128, True]), {}),
        ("yolov5n.yaml", 13, "C2f_SCConv", (3, [512]), {}),
        ("yolov5n.yaml", 13, "C3k2_SCConv", (3, [512, False, 0.5, False, 1, False]), {}),
        ("yolov5n.yaml", 0, "SCConv", (1, [64, 5, 2]), {"k": "6 (5 taken)"}),
        ("yolov8n.yaml", 2, "C3_SCConv", (3, [128]), {}),
        ("yolov8n.yaml", 12, "C3_SCConv", (3, [512, False]), {}),
        ("yolov8n.yaml", 12, "SCConv", (1, [512, 3, 1]), {"repeats": 3}),
        ("yolov8n.yaml", 9, "C2f_SCConv", (1, [1024]), {"k": 5}),
        ("yolo11n.yaml", 2, "C2f_SCConv", (2, [256, True, 1, 0.25]), {}),
        ("yolo11n.yaml", 6, "C2f_SCConv", (2, None), {"c3k": True}),
        ("yolo26n.yaml", 10, "C2f_SCConv", (2, [1024, True]), {}),
        ("yolo12n.yaml", 6, "C3k2_SCConv", (4, [512, True]), {"area": 4}),
        ("yolov10n.yaml", 22, "C2f_SCConv", (3, [1024, True]), {"lk": True}),
        ("yolov10n.yaml", 5, "SCConv", (1, None), {}),
        ("yolov9c.yaml", 2, "C2f_SCConv", (2, [256, True, 1, 0.25]), {}),
        ("yolov9c.yaml", 3, "SCConv", (1, [256, 3, 2]), {}),
        ("yolov9t.yaml", 2, "C2f_SCConv", (1, [32]), {}),
        ("rtdetr-l.yaml", 0, "SCConv", (1, [48, 3, 4]), {"cm": 32}),
        ("rtdetr-l.yaml", 1, "C2f_SCConv", (3, [128, False, 1, 0.375]), {}),
        ("rtdetr-l.yaml", 6, "C2f_SCConv", (3, [1024, True, 1, 0.1875]), {"lightconv": True}),
        ("rtdetr-l.yaml", 10, "SCConv", (1, [256, 1, 1]), {"act": False}),
        ("rtdetr-l.yaml", 16, "C3_SCConv", (3, [256, False, 1, 1.0]), {}),
        ("rtdetr-resnet50.yaml", 2, "SCConv", (1, [512, 3, 2]), {"repeats": 4}),
    ],
)
def test_arguments_keep_their_meaning(name: str, index: int, target: str, row: tuple, lost: dict) -> None:
    """row: repeats and arguments of the new row; None where its arguments can stay."""
    said = translate(read(name).rows[index], target, {}, changes_width=True)
    assert (said.repeats, said.args) == row and said.lost == lost


def test_repeats_stay_where_the_width_does() -> None:
    said = translate(read("yolov8n.yaml").rows[4], "gnConv", ORDER_3, changes_width=False)
    assert (said.repeats, said.args) == (6, [256, 3, 1, ORDER_3])


@pytest.mark.slow
def test_what_has_no_counterpart_is_said_with_its_rows() -> None:
    notes = swap("rtdetr-l.yaml", {"HGBlock": "C2f_SCConv"}, imgsz=64).notes
    assert "HGBlock -> C2f_SCConv: no counterpart for lightconv=True (row 5, 6, 7, 9)" in notes
    assert any(note.startswith("row 9: C2f_SCConv is 1024 channels wide, the stock row 2048") for note in notes)


def test_own_file_own_blocks_and_options_by_block(tmp_path: Path) -> None:
    out = tmp_path / "yolov8n-two.yaml"
    pairs = {"C2f_gnConv": "C2f_SCConv", "Conv": "DCNv2"}
    options = {"C2f_SCConv": {"alpha": 0.25}}
    result = swap("yolov8n-C2f_gnConv.yaml", pairs, "4,7", options, imgsz=64, output=out)
    lines = result.text.splitlines()
    assert "  - [-1, 6, C2f_SCConv, [256, True, {alpha: 0.25}]]" in lines and result.rows == [4, 7]
    assert any(line.startswith("  - [-1, 1, DCNv2, [1024, 3, 2]]") for line in lines)
    assert result.notes[0] == "C2f_gnConv -> C2f_SCConv: no counterpart for order=3 (row 4)"


ERRORS = [
    ("C2g=C2f_gnConv", [], "yolov8n.yaml has no row 'C2g'; did you mean C2f? (rows to swap: C2f, Conv, SPPF)"),
    ("C2f=C2f_gnKonv", [], "unknown block row 'C2f_gnKonv'; did you mean C2f_gnConv"),
    ("Concat=SCConv", [], "Concat has several inputs or no width of its own"),
    ("Conv=C2f_SCConv", [], "row 0 (line 20): Conv changes the map's size, C2f_SCConv cannot"),
    (
        "C2f=C2f_SCConv",
        ["--where", "P1"],
        "--where P1 matches no C2f in yolov8n.yaml; there is C2f in the backbone: row 2",
    ),
    ("C2f=C2f_SCConv", ["--where", "3"], "--where 3: row 3 of yolov8n.yaml is Conv, not C2f"),
    ("C2f=C2f_SCConv", ["--where", "99"], "--where 99: row 99 of yolov8n.yaml does not exist"),
    ("C2f=C2f_SCConv", ["--where", "spine"], "--where spine: use backbone, neck, all, levels P1 to P7 or row numbers"),
    ("C2f", [], "'C2f' is not a pair OLD=NEW"),
    ("C2f=C2f_SCConv C2f=C2f_GBC", [], "C2f is replaced twice"),
    ("C2f=C2f_gnConv", ["--options", "3"], "--options '3' is not a YAML mapping"),
    ("C2f=C2f_gnConv", ["--options", "{order"], "is not a YAML mapping"),
    (
        "C2f=C2f_gnConv",
        ["--options", "{order: 7}"],
        "yolov8n.yaml, row 2 (line 22): C2f_gnConv [128, True, {'order': 7}]",
    ),
    ("C2f=C2f_gnConv", ["--options", "{ordre: 3}"], "unexpected keyword argument 'ordre'"),
    ("C2f=C2f_SCConv", ["--imgsz", "65"], "imgsz must be a multiple of 32 from 32 to 16,384, got 65"),
    ("C2f=C2f_SCConv", ["-o", "no/such/x.yaml"], "there is no folder no/such"),
    ("C2f=C2f_SCConv", ["-o", "x.txt"], "the name of a model file ends in .yaml"),
    ("C2f=C2f_SCConv", ["-o", "yolov8s-x.yaml"], "would build s, not n; call it yolov8-x.yaml"),
    ("C2f=C2f_SCConv", ["-o", "there.yaml"], "there.yaml exists; --force overwrites it"),
]


@pytest.mark.parametrize(("pairs", "more", "message"), ERRORS, ids=[f"{p} {' '.join(m)}" for p, m, _ in ERRORS])
def test_errors_are_one_line_and_exit_2(
    pairs: str, more: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("there.yaml").write_text("mine")
    output = [] if "-o" in more else ["-o", "out.yaml"]
    imgsz = [] if "--imgsz" in more else ["--imgsz", "64"]
    assert main(["swap", "yolov8n.yaml", *pairs.split(), *more, *output, *imgsz]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1
    assert Path("there.yaml").read_text() == "mine" and list(tmp_path.iterdir()) == [tmp_path / "there.yaml"]


@pytest.mark.slow
def test_another_scale_than_the_first_needs_a_name_that_says_it(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"would build n, not s; call it yolo11-my.yaml"):
        swap("yolo11s.yaml", {"C3k2": "C3k2_SCConv"}, imgsz=64, output=tmp_path / "my.yaml")
    result = swap("yolo11s.yaml", {"C3k2": "C3k2_SCConv"}, imgsz=64, output=tmp_path / "yolo11-my.yaml")
    assert Path(str(result.call)).name == "yolo11s-my.yaml" and yaml_model_load(result.call)["scale"] == "s"


@pytest.mark.slow
def test_scales_that_a_block_refuses_are_said() -> None:
    result = swap("yolov8s.yaml", {"C2f": "C2f_gnConv"}, "backbone", {"order": 6}, imgsz=64)
    assert any(note.startswith("scale n cannot be built: row 2: ") and "gnConv" in note for note in result.notes)


def test_rows_that_share_an_anchor_are_not_edited(tmp_path: Path) -> None:
    source = tmp_path / "mine.yaml"
    rows = "  - [-1, 1, Conv, [16, 3, 2]]\n  - &row [-1, 1, C2f, [16]]\n  - *row\n"
    source.write_text(f"nc: 2\nbackbone:\n{rows}head:\n  - [-1, 1, Classify, [nc]]\n")
    with pytest.raises(ModelFileError, match="a YAML anchor shared by rows"):
        swap(str(source), {"C2f": "C2f_SCConv"}, "1", imgsz=64)
    both = swap(str(source), {"C2f": "C2f_SCConv"}, imgsz=64)
    assert both.text.count("C2f_SCConv, [16]") == 1 and both.rows == [1, 2]


def test_the_same_command_twice_needs_force_and_prints_the_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 1, C2f, [16]]\nhead:\n  - [-1, 1, Classify, [nc]]\n"
    Path("yolov8.yaml").write_text(f"nc: 2\nscales:\n  n: [1, 1, 64]\nbackbone:\n{rows}")
    command = ["swap", "yolov8n.yaml", "C2f=C2f_SCConv", "--imgsz", "64", "-o", "yolov8-sc.yaml"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "rows 1 of yolov8n.yaml changed" in text and "yolo train model=yolov8n-sc.yaml" in text
    assert [line.split()[0] for line in text.splitlines()[3:5]] == ["stock", "swapped"]
    assert main(command) == 2 and main([*command, "--force"]) == 0
