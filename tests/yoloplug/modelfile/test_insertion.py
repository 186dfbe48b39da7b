"""`yoloplug swap --insert`: without the inserted rows the graph is the source's, and the file keeps its layout."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.nn.tasks import ClassificationModel, DetectionModel, yaml_model_load

from yoloplug import swap
from yoloplug.bridge.trace import builds
from yoloplug.cli import main
from yoloplug.modelfile.file import ModelFile, ModelFileError, Row, edited, parse, read
from yoloplug.modelfile.insertion import Insertions, planned
from yoloplug.modelfile.report import check, traced, validate

FAST = ["yolov8n.yaml", "yolo11n-cls.yaml"]
MODELS = [
    *FAST, "yolo11n.yaml", "yolo26n.yaml", "rtdetr-l.yaml", "yolov8n-p2.yaml", "yolov8n-seg.yaml", "yolo11n-pose.yaml",
    "yolo26n-obb.yaml", "yolov8n-cls.yaml", "yolo12n.yaml", "yolo26n-sem.yaml", "yolov5n.yaml", "yolov9e.yaml",
    "yolov10n.yaml", "yolov8n-world.yaml", "yolov8n-rtdetr.yaml", "rtdetr-resnet50.yaml", "yolov3-tiny.yaml",
]  # fmt: skip


def absolute(rows: list[Row]) -> list[list[int]]:
    """The rows that each row reads; -1 is the image."""
    listed = [row.source if isinstance(row.source, list) else [row.source] for row in rows]
    return [[s + row.index if s < 0 else s for s in given] for row, given in zip(rows, listed, strict=True)]


def without(rows: list[Row], inserted: list[int]) -> list[Any]:
    """The graph in which whoever reads an inserted row reads what that row reads."""
    reads = absolute(rows)
    kept = [row.index for row in rows if row.index not in inserted]

    def origin(row: int) -> int:
        while row in inserted:
            (row,) = reads[row]
        return row if row < 0 else kept.index(row)

    return [([origin(s) for s in reads[i]], rows[i].part, rows[i].repeats, rows[i].name, rows[i].args) for i in kept]


def legal_rows(file: ModelFile, traces: list[Any]) -> list[int]:
    def is_legal(index: int) -> bool:
        try:
            planned(file, traces, [("SCConv", index)], "backbone", 64)
        except ModelFileError:
            return False
        return True

    return [row.index for row in file.rows if is_legal(row.index)]


def wide_rows(file: ModelFile, rows: list[int]) -> list[int]:
    """Without yolov9e's first row, which is the image: SCConv refuses three channels."""
    return [index for index in rows if file.rows[index].name != "nn.Identity"]


def inserted(file: ModelFile, traces: list[Any], wishes: list[tuple[str, int | str]]) -> tuple[ModelFile, Insertions]:
    plan = planned(file, traces, wishes, "backbone", 64)
    return parse(edited(file.text, plan.edits(file)), file.name, file.model["scale"]), plan


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in MODELS])
def test_after_every_legal_row(name: str) -> None:
    """One by one the graph stays the source's; all at once, two behind the first, the model also builds."""
    file = read(name)
    traces = traced(file, file.model, 64)
    rows = legal_rows(file, traces)
    several = {"CBLinear", "ImagePoolingAttn"}
    assert rows == [row.index for row in file.rows[:-1] if row.name not in several]
    stock = without(file.rows, [])
    for after in rows:
        new, plan = inserted(file, traces, [("SCConv", after)])
        assert (
            plan.added == [after + 1]
            and new.rows[after + 1].name == "SCConv"
            and absolute(new.rows)[after + 1] == [after]
        )
        assert without(new.rows, plan.added) == stock
        readers = [i for i, sources in enumerate(absolute(file.rows)) if after in sources]
        assert [i for i, sources in enumerate(absolute(new.rows)) if after + 1 in sources] == [i + 1 for i in readers]
    rows = wide_rows(file, rows)
    new, plan = inserted(file, traces, [("SCConv", rows[0]), *(("C2f_SCConv", after) for after in rows)])
    validate(new)
    assert without(new.rows, plan.added) == stock and len(plan.added) == len(rows) + 1
    for scale in new.model.get("scales") or [""]:
        assert builds({**new.model, "scale": scale}), scale


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_insertion_alone_builds(name: str) -> None:
    file = read(name)
    traces = traced(file, file.model, 64)
    for after in wide_rows(file, legal_rows(file, traces)):
        new, _ = inserted(file, traces, [("SCConv", after)])
        assert builds(new.model), after


def test_the_file_keeps_its_layout_and_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "yolov8-in.yaml"
    assert main(f"swap yolov8n.yaml --insert SCConv --after P3 --imgsz 64 -o {out}".split()) == 0
    text = capsys.readouterr().out
    assert f"{out}: row 5: SCConv inserted after row 4 (C2f)\n" in text
    assert "row 15 (Concat) [-1, 4] -> [-1, 5]" in text and "row 23 (Detect) [15, 18, 21] -> [16, 19, 22]" in text
    lines, stock = out.read_text().splitlines(), read("yolov8n.yaml").text.splitlines()
    assert lines[0] == f"# yoloplug swap yolov8n.yaml --insert SCConv --after P3 --imgsz 64 -o {out}"
    position = lines.index("  - [-1, 1, SCConv, []]  # 5, inserted")
    assert lines[1:position] == stock[: position - 1]
    changed = [pair for pair in zip(stock[position - 1 :], lines[position + 1 :], strict=True) if pair[0] != pair[1]]
    assert changed == [
        ("  - [-1, 1, Conv, [512, 3, 2]] # 5-P4/16", "  - [-1, 1, Conv, [512, 3, 2]] # 6-P4/16"),
        ("  - [-1, 1, Conv, [1024, 3, 2]] # 7-P5/32", "  - [-1, 1, Conv, [1024, 3, 2]] # 8-P5/32"),
        ("  - [-1, 1, SPPF, [1024, 5]] # 9", "  - [-1, 1, SPPF, [1024, 5]] # 10"),
        ("  - [[-1, 6], 1, Concat, [1]] # cat backbone P4", "  - [[-1, 7], 1, Concat, [1]] # cat backbone P4"),
        ("  - [-1, 3, C2f, [512]] # 12", "  - [-1, 3, C2f, [512]] # 13"),
        ("  - [[-1, 4], 1, Concat, [1]] # cat backbone P3", "  - [[-1, 5], 1, Concat, [1]] # cat backbone P3"),
        ("  - [-1, 3, C2f, [256]] # 15 (P3/8-small)", "  - [-1, 3, C2f, [256]] # 16 (P3/8-small)"),
        ("  - [[-1, 12], 1, Concat, [1]] # cat head P4", "  - [[-1, 13], 1, Concat, [1]] # cat head P4"),
        ("  - [-1, 3, C2f, [512]] # 18 (P4/16-medium)", "  - [-1, 3, C2f, [512]] # 19 (P4/16-medium)"),
        ("  - [[-1, 9], 1, Concat, [1]] # cat head P5", "  - [[-1, 10], 1, Concat, [1]] # cat head P5"),
        ("  - [-1, 3, C2f, [1024]] # 21 (P5/32-large)", "  - [-1, 3, C2f, [1024]] # 22 (P5/32-large)"),
        (
            "  - [[15, 18, 21], 1, Detect, [nc]] # Detect(P3, P4, P5)",
            "  - [[16, 19, 22], 1, Detect, [nc]] # Detect(P3, P4, P5)",
        ),
    ]
    model = DetectionModel(yaml_model_load(tmp_path / "yolov8n-in.yaml"), verbose=False)
    assert model.save == [5, 7, 10, 13, 16, 19, 22] and model.model[5].block_name == "SCConv"
    assert check(str(out), 64).unused == []


def test_comments_and_relative_inputs_of_rtdetr() -> None:
    file = read("rtdetr-l.yaml")
    traces = traced(file, file.model, 64)
    new, _ = inserted(file, traces, [("SCConv", 14)])
    lines = new.text.splitlines()
    assert new.rows[16].source == [-3, -1] and new.rows[21].source == [-2, -1]
    assert "  - [-1, 3, RepC3, [256]] # F4 (25), pan_blocks.0" in lines
    assert "  - [7, 1, Conv, [256, 1, 1, None, 1, 1, False]] # 14 input_proj.1" in lines
    assert "  - [3, 1, Conv, [256, 1, 1, None, 1, 1, False]] # 20 input_proj.0" in lines
    assert "  - [-1, 6, HGBlock, [192, 1024, 5, True, False]] # cm, c2, k, light, shortcut" in lines


CLASSIFIER = "nc: 2\nbackbone:{}\nhead:\n  - [-1, 1, Classify, [nc]]\n"


BLOCK = "\r\n- - -1\r\n  - 1\r\n  - Conv  # one\r\n  - - 8\r\n    - 3 # k\r\n"
FLOW = "\n  [[-1, 1, Conv, [8, 3]],  # 0\n   [-1, 1, Conv, [8]], # 1\n   [0, 1, Conv, [8]]]  # two"
LINE = " [[-1, 1, Conv, [8]], [0, 1, Conv, [8]]]"
LAYOUTS = [
    (BLOCK, "    - 3 # k\r\n- [-1, 1, SCConv, []]  # 1, inserted\r\n"),
    (FLOW, "  # 0\n   [-1, 1, SCConv, []],  # 1, inserted\n   [-1, 1, Conv, [8]], # 2\n   [1, 1, Conv, [8]]]  # two\n"),
    (LINE, " [[-1, 1, Conv, [8]], [-1, 1, SCConv, []], [1, 1, Conv, [8]]]"),
]


@pytest.mark.parametrize(("rows", "expected"), LAYOUTS)
def test_other_layouts(rows: str, expected: str, tmp_path: Path) -> None:
    source = tmp_path / "mine.yaml"
    source.write_bytes(CLASSIFIER.format(rows).encode())
    result = swap(str(source), insert=[("SCConv", 0)], imgsz=64)
    assert expected in result.text and result.inserted == [1]


def test_places_levels_widths_options_and_swaps_together() -> None:
    """Levels are looked up in the backbone, or in the neck; rows are counted in the source."""
    wishes: list[tuple[str, int | str]] = [("gnConv", "P3,P5"), ("C2f_SCConv[64, True]", 12), ("nn.Identity", 12)]
    result = swap("yolov8n-p2.yaml", {"C2f": "C2f_gnConv"}, "neck", {"gnConv": {"order": 3}}, imgsz=64, insert=wishes)
    new = parse(result.text, "yolov8n-p2.yaml", "n")
    assert [(i, new.rows[i].name, new.rows[i].args) for i in result.inserted] == [
        (13, "C2f_SCConv", [64, True]),
        (14, "nn.Identity", []),
        (24, "gnConv", [{"order": 3}]),
        (31, "gnConv", [{"order": 3}]),
    ]
    assert result.rows == [12, 15, 18, 21, 24, 27]
    assert "row 13: C2f_SCConv makes 128 channels 16, which later rows read" in result.notes
    backbone = swap("yolov8n-p2.yaml", insert=[("SCConv", "P2")], imgsz=64)
    assert backbone.inserted == [3] and backbone.changes[0] == "row 3: SCConv inserted after row 2 (C2f)"
    assert swap("yolov8n-p2.yaml", insert=[("SCConv", "P2")], where="neck", imgsz=64).inserted == [19]


def test_a_row_without_width_keeps_its_inputs_at_every_scale() -> None:
    scales = "scales:\n  n: [1, 0.5, 64]\n  s: [1, 1.6, 40]\n"
    rows = ["Conv, [64, 3, 2]", "SCConv, []", "gnConv, [None, 5, 1, {order: 2}]", "C2f_SCConv, [{alpha: 0.25}]"]
    text = scales + CLASSIFIER.format("".join(f"\n  - [-1, 1, {row}]" for row in rows))
    for scale, width in (("n", 32), ("s", 64)):
        model = ClassificationModel(parse(text, "mine.yaml", scale).model, verbose=False)
        with torch.no_grad():
            x = model.model[0](torch.rand(1, 3, 16, 16))
            for row in model.model[1:4]:
                x = row(x)
                assert x.shape == (1, width, 8, 8)
    swapped = swap("yolov8n.yaml", insert=[("SCConv", 4)], imgsz=64)
    again = parse(swapped.text, "yolov8n.yaml", "n")
    assert [again.rows[5].args, again.rows[5].repeats] == [[], 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--insert SCConv --after 22", "--after 22: nothing can stand there; yolov8n.yaml has rows to insert"),
        ("--insert SCConv --after P1 --where neck", "its neck has no map of level P1; it has P3 (row 15), P4 (row 18)"),
        ("--insert SCConv --after neck", "--after neck: use a row number of yolov8n.yaml or a level"),
        ("--insert SCConv --after -1", "--after -1: use a row number of yolov8n.yaml or a level"),
        ("--insert SCConv", "1 --insert and 0 --after"),
        ("--insert SCConv[ --after 4", "'SCConv[' is not a row to insert"),
        ("--insert SCConv[{] --after 4", "'SCConv[{]' is not a row to insert"),
        ("--insert SCKonv --after 4", "yolov8n.yaml, row 5 (line 25): unknown module 'SCKonv'; did you mean SCConv"),
        ("--insert Conv --after 4", "row 5 (line 25): Conv takes 1 to 7 arguments in a row, got 0"),
        ("--insert SCConv[64,3,2] --after 21", "SCConv makes (256, 2, 2) (16, 1, 1); an inserted row keeps"),
        ("--insert SCConv --after 4 --where P3", "--where P3 names rows to replace, and no OLD=NEW does; insert"),
        ("", "nothing to swap; give pairs such as C2f=C2f_gnConv, or rows to insert"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_exit_2(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["swap", "yolov8n.yaml", *words.split(), "--imgsz", "64", "-o", "x.yaml"]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "row"), [("yolov9e.yaml", 10), ("yolov8n-world.yaml", 16)])
@pytest.mark.slow
def test_no_row_follows_several_maps(name: str, row: int) -> None:
    with pytest.raises(ModelFileError, match=rf"row {row} \(line \d+\): \w+ gives several maps, no row can follow it"):
        swap(name, insert=[("SCConv", row)], imgsz=64)


@pytest.mark.slow
def test_the_budget_is_matched_with_inserted_rows() -> None:
    result = swap("yolov8n.yaml", match="params", imgsz=64, insert=[("C2f_DCNv2", "P3,P4"), ("DCNv2", "P5")])
    assert result.matched is not None and abs(result.matched.params / result.stock.params - 1) <= 0.02
