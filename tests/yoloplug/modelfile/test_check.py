"""`yoloplug check`: numbers that agree with the built model, and one message with row and line for every mistake."""

from pathlib import Path

import pytest
import torch
from ultralytics.nn.tasks import ClassificationModel, DetectionModel, RTDETRDetectionModel, yaml_model_load

from yoloplug.bridge.row_arguments import signature_text
from yoloplug.cli import main
from yoloplug.cost.flops import count_flops, count_parameters
from yoloplug.modelfile.file import ModelFileError, read
from yoloplug.modelfile.report import check

GOOD = """\
nc: 3
scales:
  n: [0.33, 0.25, 1024]
backbone:
  - [-1, 1, Conv, [64, 3, 2]]  # 0
  - [-1, 1, Conv, [128, 3, 2]]  # 1
  - [-1, 3, C2f, [128, True]]  # 2
  - [-1, 1, C2f_gnConv, [256, True, {order: 3}]]  # 3
head:
  - [[-1, 1], 1, Concat, [1]]  # 4
  - [-1, 1, Conv, [64, 1, 1]]  # 5
  - [-1, 1, Classify, [nc]]  # 6
"""


@pytest.fixture
def mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Checks GOOD with one text replaced; returns the message of exit code 2."""

    def run(old: str, new: str, *options: str) -> str:
        assert old in GOOD
        monkeypatch.chdir(tmp_path)
        Path("my.yaml").write_text(GOOD.replace(old, new))
        assert main(["check", "my.yaml", *options]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and "Traceback" not in captured.err
        return captured.err

    return run


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("yolov8n.yaml", DetectionModel),
        ("yolo26n.yaml", DetectionModel),
        ("yolo11n-cls.yaml", ClassificationModel),
        ("yolov8n-C2f_DCNv3.yaml", DetectionModel),
        pytest.param("yolov9c.yaml", DetectionModel, marks=pytest.mark.slow),
        pytest.param("rtdetr-l.yaml", RTDETRDetectionModel, marks=pytest.mark.slow),
    ],
)
def test_parameters_and_flops_are_those_of_the_built_model(name: str, model: type) -> None:
    report = check(name, imgsz=64)
    built = model(yaml_model_load(name), verbose=False)
    assert report.params == count_parameters(built)
    assert report.flops == count_flops(built, torch.zeros(1, 3, 64, 64)).flops


def test_every_row_is_explained() -> None:
    text = str(check("yolov8s-C2f_gnConv.yaml"))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line[:3].strip().isdigit()}
    assert set(map(str, range(23))) <= set(rows) and "scale s, depth 0.33, width 0.5, at most 1024 channels" in text
    assert rows["4"][1:4] == ["-1", "2", "C2f_gnConv"] and {"128", "P3/8", "165,376"} <= set(rows["4"])
    assert rows["11"][1:5] == ["[-1,", "6]", "1", "Concat"] and "512+256" in rows["11"]
    assert "23 rows, 10,657,664 parameters" in text and "count 0 FLOPs:" in text


def test_a_row_that_nobody_reads_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(GOOD.replace("[-1, 1, Conv, [64, 1, 1]]", "[3, 1, Conv, [64, 1, 1]]"))
    report = check(str(path), imgsz=64)
    assert report.unused == [4] and "no row reads the output of: row 4" in str(report)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("C2f_gnConv", "C2f_gnKonv", "my.yaml, row 3 (line 8): unknown module 'C2f_gnKonv'; did you mean C2f_gnConv"),
        ("Conv, [128", "conv, [128", "row 1 (line 6): unknown module 'conv'; did you mean Conv"),
        ("C2f, [128, True]", "C2f, [128, True, 1, 0.5, 9]", "C2f takes 1 to 4 arguments in a row, got 5"),
        ("C2f, [128, True]", "C2f, [128, True, 1, 0.5, 9]", "they are [c2, shortcut=False, g=1, e=0.5]"),
        ("[1]]", "[1, 2]]", "row 4 (line 10): Concat takes 0 to 1 arguments"),
        ("Conv, [64, 1, 1]", "Conv, []", "row 5 (line 11): Conv takes 1 to 7 arguments"),
        ("{order: 3}", "{ordre: 3}", "unexpected keyword argument 'ordre'"),
        (
            "{order: 3}",
            "{order: 7}",
            "row 3 (line 8): C2f_gnConv [256, True, {'order': 7}]: C2f_gnConv: gnConv: c=32 is",
        ),
        ("[[-1, 1], 1", "[[-1, 7], 1", "row 4 (line 10): there is no row 7 before it; 'from' can be rows 0 to 3"),
        ("[-1, 1, Conv, [64, 3, 2]]", "[-2, 1, Conv, [64, 3, 2]]", "row 0 (line 5): there is no row -2 before it"),
        ("[[-1, 1], 1", "[[-1, 0], 1", "Concat of maps of different size: 64x16x16 of row 3, 16x32x32 of row 0"),
        ("[-1, 1, Conv, [64, 1, 1]]", "[-1, 1, nn.Conv2d, [9, 4, 1]]", "row 5 (line 11): nn.Conv2d [9, 4, 1]: Conv2d"),
        (
            "[-1, 1, Conv, [64, 1, 1]]",
            "[-1, 1, ResNetLayer, [9, 4, 1, False]]",
            "ResNetLayer cannot run on 96x16x16 of row 4: ",
        ),
        ("[-1, 3, C2f", "[-1, many, C2f", "row 2 (line 7): 'repeats' is a whole number from 1 to 1,000, got 'many'"),
        ("[-1, 3, C2f, [128, True]]", "[-1, 3, C2f]", "row 2 (line 7): a row is [from, repeats, module, args]"),
        ("[-1, 3, C2f, [128, True]]", "[x, 3, C2f, [128]]", "'from' is a row number or a list of them, got x"),
        ("[-1, 3, C2f, [128, True]]", "[-1, 3, 5, [128]]", "the third entry is a module name, got 5"),
        ("[-1, 3, C2f, [128, True]]", "[-1, 3, C2f, 128]", "the fourth entry is a list of arguments, got 128"),
        ("[64, 1, 1]", "[wide, 1, 1]", "row 5 (line 11): Conv ['wide', 1, 1]"),
        ("backbone:", "bakbone:", "the key 'backbone' is missing; 'bakbone' in line 4 is not it"),
        ("nc: 3\n", "", "my.yaml: the key 'nc' is missing"),
        ("nc: 3", "nc: abc", "line 1: 'nc' is the number of classes, 1 to 100,000, got 'abc'"),
        ("nc: 3", "nc: 3\nnc: 4", "line 2: the key 'nc' is there twice"),
        ("[0.33, 0.25, 1024]", "[0.33, 0.25]", "scale n is [0.33, 0.25], not [depth, width, max_channels]"),
        ("  n: [0.33, 0.25, 1024]", "  - 1", "line 2: 'scales' is a mapping"),
        ("[128, True]]  # 2", "[128, True]  # 2", "not valid YAML"),
        (GOOD, "- 1\n", "a model YAML is a mapping with the keys nc, backbone and head"),
        (GOOD, "nc: 1\nbackbone: []\nhead: []\n", "line 2: 'backbone' is a list of rows"),
        (GOOD, "", "a model YAML is a mapping"),
    ],
)
def test_a_mistake_is_told_once_with_row_and_line(mistake, old: str, new: str, message: str) -> None:
    text = mistake(old, new, "--imgsz", "64")
    assert message in text and text.startswith("yoloplug: my.yaml") and len(text.strip().splitlines()) == 1


def test_malformed_yaml_gives_line_and_column(mistake) -> None:
    assert "my.yaml, line 8, column" in mistake("[128, True]]  # 2", "[128, True]  # 2")


def test_wrong_image_size_and_unknown_files(mistake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "yolov8n.yaml", "--imgsz", "100"]) == 2
    assert "imgsz must be a multiple of 32 from 32 to 16,384, got 100" in capsys.readouterr().err
    assert main(["check", "yolov88n.yaml"]) == 2
    assert "no model YAML 'yolov88n.yaml'" in (text := capsys.readouterr().err) and "yolov8.yaml" in text
    assert main(["check", "yolov8n.pt"]) == 2
    assert "is not the name of a YAML file" in capsys.readouterr().err


def test_bytes_that_are_no_text_and_scales_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "yolov8s-my.yaml"
    path.write_bytes(b"nc: \xff\xfe")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read(str(path))
    path.write_text(GOOD)
    with pytest.raises(ModelFileError, match="no scale 's' in the file, which has n"):
        read(str(path))


def test_signatures_are_those_of_a_row_not_of_the_constructor() -> None:
    assert signature_text("C3k2") == "[c2, c3k=False, e=0.5, attn=False, g=1, shortcut=True]"
    assert signature_text("HGBlock").startswith("[cm, c2, k=3, lightconv=False")
    assert signature_text("Detect") == "[nc=80]"
    assert signature_text("gnConv").startswith("[c2=None, k=3, s=1, order=")
    assert signature_text("C2f_gnConv") == "[c2=None, shortcut=False, g=1, e=0.5, options={}]"
