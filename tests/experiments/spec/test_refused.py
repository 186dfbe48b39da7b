"""What only a look at models and data can find wrong is refused with the spec's line, before anything is written."""

from pathlib import Path

import pytest

from experiments.cli import main
from experiments.demo.shapes import draw_shapes
from experiments.errors import SpecError
from experiments.trainers.yolo.checks import check_options

SPEC = """\
name: tiny
task: {task}
models:
  - {first}
  - {second}
datasets:
  shapes: {data}
seeds: [0]
budget: {{epochs: 1, imgsz: 64, batch: 2, workers: 0, threads: 1, device: {device}}}
train:
  {train}
"""
GOOD = {
    "task": "detect",
    "first": "yolov8n.yaml",
    "second": "yolov8s.yaml",
    "data": "data",
    "device": "cpu",
    "train": "mosaic: 0.0",
}
SEGMENT = {
    "task": "segment",
    "first": "{model: unet, encoder: resnet18}",
    "second": "{model: gbcnet, encoder: resnet18}",
    "train": "lr: 0.001",
}


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        ({"second": "yolov8n-C2f_gnCov.yaml"}, 5, ["did you mean yolov8n-C2f_gnConv.yaml"]),
        ({"second": "{folder}/yolov8n-typo.yaml"}, 5, ["yolov8n-typo.yaml, row 1 (line 4)", "did you mean C2f_gnConv"]),
        ({"second": "yolov8n-seg.yaml"}, 5, ["yolov8n-seg.yaml", "task segment"]),
        ({"data": "dtaa"}, 7, ["datasets.shapes", "did you mean data", "--data-root"]),
        ({"data": "data/labels"}, 7, ["classes.txt is missing"]),
        ({"data": "broken.yaml"}, 7, ["broken.yaml", "cannot be read as YAML"]),
        ({"data": "damaged"}, 7, ["damaged/images/val", ".png is no image that can be read; replace it"]),
        ({"data": "lost.yaml"}, 7, ["lost.txt names", "nowhere.png", "does not exist"]),
        ({"data": "unnamed.yaml"}, 7, ["names must be a list"]),
        ({"device": "0"}, 9, ["budget.device", "no CUDA device"]),
        ({"train": "mosaik: 1.0"}, 11, ["train.mosaik", "did you mean mosaic"]),
        ({"train": "lr0: fast"}, 11, ["train.lr0", "float", "fast"]),
        ({"train": "seed: 3"}, 11, ["train.seed", "set by the runner"]),
        ({"train": "optimizer: Foo"}, 11, ["train.optimizer", "'Foo'", "AdamW", "SGD", "auto"]),
        (SEGMENT | {"second": "{model: gbcnt, encoder: resnet18}"}, 5, ["gbcnet"]),
        (SEGMENT | {"second": "{model: unet, encoder: resnet81}"}, 5, ["resnet18"]),
        (
            SEGMENT | {"second": "{model: gbcnet, encoder: resnet18, options: {gait: sigmoid}, name: a}"},
            5,
            ["gait", "gate"],
        ),
        (SEGMENT | {"second": "{model: unet, matched_to: unet, by: params}"}, 5, ["is for YOLO models; unet is none"]),
        (SEGMENT | {"train": "lr: fast"}, 11, ["lr", "fast"]),
        (SEGMENT | {"train": "tensorboard: true"}, 11, ["set by the runner", "loggers"]),
        (SEGMENT | {"train": "patience: 3"}, 11, ["train.patience", "set by the runner", "budget"]),
    ],
)
def test_refused_with_its_line(
    changes: dict[str, str],
    line: int,
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    draw_shapes(tmp_path / "data", train=2, val=1, side=64)
    draw_shapes(tmp_path / "damaged", train=2, val=1, side=64)
    for image in (tmp_path / "damaged" / "images" / "val").iterdir():
        image.write_text("a page that says: not found")
    (tmp_path / "yolov8n-typo.yaml").write_text(
        "nc: 2\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 1, C2f_gnCov, [16]]\nhead:\n"
        "  - [[1], 1, Detect, [nc]]\n"
    )
    (tmp_path / "broken.yaml").write_text("train: [\n")
    (tmp_path / "lost.txt").write_text("nowhere.png\n")
    (tmp_path / "lost.yaml").write_text("train: lost.txt\nval: lost.txt\nnames: [a]\n")
    (tmp_path / "unnamed.yaml").write_text("train: data\nval: data\nnames: 3\n")
    spec = tmp_path / "tiny.yaml"
    given = {key: value.replace("{folder}", str(tmp_path)) for key, value in (GOOD | changes).items()}
    spec.write_text(SPEC.format(**given))
    assert main(["run", str(spec), "--data-root", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"experiments: {spec}:{line}: " in error, error  # Ultralytics may warn of a missing reader of HEIC before it
    assert all(word in error for word in words), error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", "patience time fraction classes single_cls split conf iou max_det cfg".split())
def test_what_would_change_the_comparison_is_no_option(key: str) -> None:
    """Whatever its value: training time, the data and the predictions that are scored are the runner's."""
    with pytest.raises(SpecError, match=rf"{key}: set by the runner \(see .*datasets.*budget, protocol\)"):
        check_options({key: None}, Path())


def test_every_optimizer_that_ultralytics_lists_is_taken() -> None:
    for name in ("auto", "SGD", "AdamW", "RMSProp", "adam"):
        check_options({"optimizer": name}, Path())
