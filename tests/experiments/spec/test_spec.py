"""A spec is read exactly, and whatever is wrong in it is refused with line, key and the nearest valid name."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.cells.cell import Cell, cell_keys
from experiments.demo.shapes import draw_shapes
from experiments.errors import SpecError
from experiments.run.plan import plan
from experiments.spec.budget import Budget
from experiments.spec.read import read_spec
from experiments.spec.spec import Model

GOOD = """\
# header
name: cells
task: detect
models: [yolov8n.yaml, yolov8n-C2f_gnConv.yaml]
datasets: {bccd: data/bccd}
seeds: [0, 1]
budget: {epochs: 30, imgsz: 320, batch: 16, device: 0}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def first_cell(path: Path) -> Cell:
    spec = read_spec(path).spec
    model, dataset, seed = cell_keys(spec)[next(iter(cell_keys(spec)))]
    return Cell(spec, model, dataset, None, "hash", seed, path.parent / "out" / "cells" / "first")


def test_good_spec(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, GOOD)).spec
    assert spec.models == (Model("yolov8n.yaml"), Model("yolov8n-C2f_gnConv.yaml"))
    assert spec.budget == Budget(30, 320, 16, device="0", workers=2, threads=2)
    assert spec.protocol.max_det == 300
    assert list(cell_keys(spec)) == [
        "yolov8n-bccd-s0",
        "yolov8n-C2f_gnConv-bccd-s0",
        "yolov8n-bccd-s1",
        "yolov8n-C2f_gnConv-bccd-s1",
    ]


def test_a_share_of_train_as_val(tmp_path: Path) -> None:
    text = GOOD.replace("{bccd: data/bccd}", "{neu: {path: neu, val_share: 0.2, split_seed: 3}}")
    assert first_cell(write(tmp_path, text)).identity["split"] == {"val_share": 0.2, "split_seed": 3}
    assert "split" not in first_cell(write(tmp_path, GOOD)).identity  # as in folders of older specs


def test_segmentation_models_have_encoders_in_their_label(tmp_path: Path) -> None:
    models = "models: [{model: unet, encoder: resnet18}, {model: unet, encoder: resnet18, encoder_weights: imagenet}]"
    text = GOOD.replace("task: detect", "task: segment").replace(GOOD.splitlines()[3], models)
    assert [m.label for m in read_spec(write(tmp_path, text)).spec.models] == [
        "unet-resnet18",
        "unet-resnet18-imagenet",
    ]


def test_a_name_stands_for_the_options_of_an_architecture(tmp_path: Path) -> None:
    models = (
        "models: [{model: unet, encoder: resnet18}, "
        "{model: gbcnet, encoder: resnet18, options: {gate: sigmoid}, name: sigmoid-gate}]"
    )
    text = GOOD.replace("task: detect", "task: segment").replace(GOOD.splitlines()[3], models)
    stock, named = read_spec(write(tmp_path, text)).spec.models
    assert named.label == "sigmoid-gate"
    assert named.options == {"gate": "sigmoid"}
    assert stock.options is None


def test_exponents_without_a_dot_are_numbers(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, GOOD + "protocol: {conf: 1e-3}\n")).spec
    assert spec.protocol.conf == 0.001
    assert read_spec(write(tmp_path, GOOD + "train: {lr0: 1e-3, box: -2E+1}\n")).spec.train == {
        "lr0": 0.001,
        "box": -20.0,
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("budget:", "buget:", 7, ["buget", "did you mean budget"]),
        ("data/bccd}", "{path: bccd, val_share: 1.5}}", 5, ["datasets.bccd", "val_share", "between 0 and 1", "1.5"]),
        ("data/bccd}", "{path: bccd, split_seed: 1}}", 5, ["datasets.bccd", "split_seed: goes with val_share"]),
        ("data/bccd}", "{path: bccd, val_shar: 0.1}}", 5, ["val_shar", "did you mean val_share"]),
        ("epochs: 30", "epoch: 30", 7, ["budget.epoch", "did you mean epochs"]),
        ("epochs: 30, ", "", 7, ["budget", "epochs: is missing"]),
        ("epochs: 30", "epochs: thirty", 7, ["budget.epochs", "must be a whole number", "thirty"]),
        ("epochs: 30", "epochs: true", 7, ["budget.epochs", "must be a whole number"]),
        ("epochs: 30", "epochs: 0", 7, ["epochs: must be at least 1, got 0"]),
        ("imgsz: 320", "imgsz: 300", 7, ["multiple of 32, got 300"]),
        ("task: detect", "task: detekt", 3, ["detekt", "did you mean detect"]),
        ("seeds: [0, 1]", "seeds: [0, 0]", 6, ["seeds: lists 0 more than once"]),
        ("seeds: [0, 1]", "seeds: [0, -1]", 6, ["seeds: must be between 0 and 4294967295, got -1"]),
        ("seeds: [0, 1]", "seeds: [4294967296]", 6, ["between 0 and 4294967295, got 4294967296"]),
        ("data/bccd}", "{path: b, val_share: 0.2, split_seed: -1}}", 5, ["split_seed: must be at least 0, got -1"]),
        ("seeds: [0, 1]", "seeds: 0", 6, ["seeds", "must be a list"]),
        ("seeds: [0, 1]", "seeds: []", 6, ["seeds", "at least one item"]),
        ("[yolov8n.yaml, ", "[yolov8n-C2f_gnConv.yaml, ", 4, ["yolov8n-C2f_gnConv more than once"]),
        ("[yolov8n.yaml, ", "[{model: unet, encodr: resnet18}, ", 4, ["models.0.encodr", "did you mean encoder"]),
        ("[yolov8n.yaml, ", "[{model: unet, options: {a: 1}}, ", 4, ["models.0.name", "goes with options"]),
        ("[yolov8n.yaml, ", "[{model: unet, name: a b}, ", 4, ["models.0.name", "'a b' is no name", "letters"]),
        ("[yolov8n.yaml, ", "[{model: a.yaml, name: b, options: {}}, ", 4, ["models.0.options", "for architectures"]),
        ("{bccd: data/bccd}", "data/bccd", 5, ["datasets", "must be names with values"]),
        ("name: cells", "name: my cells", 2, ["my cells", "letters"]),
        ("# header\n", "seeds: [3]\n", 6, ["seeds: is given twice"]),
        ("# header\n", "protocol: {max_det: 10}\n", 1, ["protocol.max_det", "at least 100, got 10"]),
        ("# header\n", "protocol: {latency_runs: 5}\n", 1, ["latency_runs: must be at least 50"]),
        ("# header\n", "protocol: {conf: x}\n", 1, ["protocol.conf", "must be a number, got 'x'"]),
        (
            "task: detect",
            "task: segment\nprotocol:\n  iou: 0.5",
            5,
            ["protocol.iou", "is for task: detect", "remove it"],
        ),
        ("# header\n", "[\n", None, ["not readable as YAML"]),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, line: int | None, words: list[str]) -> None:
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.startswith(f"{path}:{line}: ") if line else str(path) in message


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b\n"])
def test_not_a_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError, match="must be a mapping"):
        read_spec(write(tmp_path, text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_spec(tmp_path / "absent.yaml")


def test_missing_dataset_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "data" / "bcdd").mkdir(parents=True)
    spec = write(tmp_path, GOOD.replace("device: 0", "device: cpu"))
    with pytest.raises(SpecError, match=r"datasets\.bccd: .*did you mean bcdd[\s\S]*--data-root") as caught:
        plan(spec, tmp_path, tmp_path / "out")
    assert caught.value.key == ("datasets", "bccd") and caught.value.line == 5 and caught.value.path == spec


@pytest.mark.parametrize(
    ("datasets", "models", "key"),
    [
        ("{'a b': x, a_b: x}", "[m.yaml]", "m-a_b-s0"),
        ("{c: x, b-c: x}", "[a-b.yaml, a.yaml]", "a-b-c-s0"),
    ],
)
def test_two_cells_never_share_a_folder(tmp_path: Path, datasets: str, models: str, key: str) -> None:
    (tmp_path / "x").mkdir()
    text = GOOD.replace("{bccd: data/bccd}", datasets).replace(GOOD.splitlines()[3], f"models: {models}")
    with pytest.raises(SpecError, match=rf"spec\.yaml:5: datasets\..* would both be the cell {key}; rename a dataset"):
        plan(write(tmp_path, text), tmp_path, tmp_path / "out")


def test_identity_changes_with_everything_that_decides_the_result(tmp_path: Path) -> None:
    first = first_cell(write(tmp_path, GOOD))
    longer = first_cell(write(tmp_path, GOOD.replace("epochs: 30", "epochs: 31")))
    assert first.identity != longer.identity
    assert first.identity != replace(first, dataset_hash="b").identity
    assert first.identity == first_cell(write(tmp_path, GOOD)).identity


def test_subsets_of_the_evaluation_images(tmp_path: Path, tiny_detection_data: Path) -> None:
    """The names that the list leaves out are in the cell, and in what a finished cell must be equal in."""
    head = GOOD.replace("data/bccd", str(tiny_detection_data)).replace("device: 0", "device: cpu")
    text = head + "subsets:\n  fresh: {exclude: shared.txt}\n"
    spec, line = write(tmp_path, text), len(text.splitlines())
    with pytest.raises(SpecError, match=rf"spec\.yaml:{line}: subsets\.fresh: .*shared\.txt does not exist"):
        plan(spec, tmp_path, tmp_path / "out")
    (tmp_path / "shared.txt").write_text("6.png\nseven\n")
    with pytest.raises(SpecError, match=rf"spec\.yaml:{line}: .*seven is no image among the 2 scored"):
        plan(spec, tmp_path, tmp_path / "out")
    (tmp_path / "shared.txt").write_text("6.png\n")
    cell = plan(spec, tmp_path, tmp_path / "out").cells[0]
    assert cell.excluded == {"fresh": ["6.png"]} and cell.identity["excluded"] == cell.excluded
    assert "excluded" not in plan(write(tmp_path, head), tmp_path, tmp_path / "out").cells[0].identity
    with pytest.raises(SpecError, match=r"subsets\.a b: 'a b' is no name"):
        read_spec(write(tmp_path, text.replace("fresh", "a b")))
    with pytest.raises(SpecError, match="exclud: is no setting here; did you mean exclude"):
        read_spec(write(tmp_path, text.replace("exclude", "exclud")))


def test_a_subset_of_one_data_set_among_several(tmp_path: Path, tiny_detection_data: Path) -> None:
    """Checked and scored on the data set that it names; the other's cells are as if there were no subset."""
    draw_shapes(tmp_path / "shapes", train=2, val=1, side=64)
    head = GOOD.replace("{bccd: data/bccd}", f"{{squares: {tiny_detection_data}, shapes: shapes}}")
    head = head.replace("device: 0", "device: cpu").replace(", yolov8n-C2f_gnConv.yaml]", "]")
    spec, out = write(tmp_path, head + "subsets:\n  fresh:\n    exclude: shared.txt\n"), tmp_path / "out"
    (tmp_path / "shared.txt").write_text("6.png\n")
    with pytest.raises(SpecError, match=r"6\.png is no image among the 1 scored"):
        plan(spec, tmp_path, out)
    text = spec.read_text() + "    dataset: squares\n"
    excluded = {cell.dataset: cell.excluded for cell in plan(write(tmp_path, text), tmp_path, out).cells}
    assert excluded == {"squares": {"fresh": ["6.png"]}, "shapes": {}}
    line = len(text.splitlines())
    with pytest.raises(SpecError, match=rf"spec\.yaml:{line}: subsets\.fresh\.dataset: .*did you mean squares"):
        read_spec(write(tmp_path, text.replace("dataset: squares", "dataset: square")))
