"""What a spec's `train` says of the data holds for all that is done with them, and they are opened once."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.demo.cracks import draw_cracks
from experiments.errors import SpecError
from experiments.run.plan import plan
from experiments.run.run import run
from segplug.data.source import DataSource
from segplug.evaluation.run import evaluate

SPEC = """\
name: tiny
task: segment
models: [{{model: unet, encoder: tu-mobilenetv3_small_050}}]
datasets: {{data: data}}
seeds: [0]
budget: {{epochs: 1, imgsz: 64, batch: 2, workers: 0, threads: 1}}
subsets: {{fresh: {{exclude: listed.txt}}}}
train: {train}
protocol: {{threshold: 0.5}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draw_cracks(tmp_path / "data", train=4, test=2, side=64)
    (tmp_path / "listed.txt").write_text(sorted((tmp_path / "data/test/images").iterdir())[0].name)
    return tmp_path


def masks(root: Path) -> list[Path]:
    return sorted(root.glob("data/*/masks/*.png"))


def spec_of(root: Path, train: str) -> Path:
    path = root / "tiny.yaml"
    path.write_text(SPEC.format(train=train))
    return path


def the_row(out: Path) -> dict[str, Any]:
    (path,) = out.glob("cells/*/row.json")
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("train", "table"), [("{mask_values: 255/0}", {0: 255, 255: 0}), ("{crack_values: 2}", {0: 1, 255: 2})]
)
def test_mask_values_reach_evaluation(root: Path, train: str, table: dict[int, int]) -> None:
    plain = root / "plain"
    assert run(spec_of(root, "{val_split: 0.25}"), root, plain) == 0
    for path in masks(root):
        mask = np.asarray(Image.open(path))
        Image.fromarray(np.where(mask == 255, table[255], table[0]).astype(np.uint8)).save(path)
    assert run(spec_of(root, train.replace("}", ", val_split: 0.25}")), root, root / "out") == 0
    assert the_row(root / "out")["metrics"] == pytest.approx(the_row(plain)["metrics"], rel=1e-6)


def test_ignored_pixels_count_nowhere(root: Path) -> None:
    """The row says what `segplug eval --ignore` says; other masks of labelled pixels are another data set."""
    (root / "labelled").mkdir()
    for path in masks(root):
        labelled = np.full((64, 64), 255, np.uint8)
        labelled[:, :40] = 0
        Image.fromarray(labelled).save(root / "labelled" / path.name)
    spec = spec_of(root, "{ignore: labelled, val_split: 0.25}")
    assert run(spec, root, root / "out") == 0
    (cell,) = plan(spec, root, root / "out").cells
    source = DataSource(data=str(root / "data"), ignore=str(root / "labelled"))
    expected = evaluate(cell.folder / "train" / "best.ckpt", source, device="cpu")
    assert the_row(root / "out")["metrics"] == pytest.approx(expected["metrics"], rel=1e-6)
    assert expected["metrics"] != evaluate(cell.folder / "train" / "best.ckpt", root / "data", device="cpu")["metrics"]
    Image.fromarray(np.full((64, 64), 255, np.uint8)).save(root / "labelled" / masks(root)[0].name)
    with pytest.raises(SpecError, match=r"different run .*dataset_hash"):
        plan(spec, root, root / "out")


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ("{ignore: nowhere}", r":8: train\.ignore: .*nowhere does not exist; relative paths are read from --data-root"),
        ("{mask_values: 5/5}", r":8: train\.?\S*: .*mask_values must be two values"),
        ("{mask_values: 0/7}", r":4: datasets\.data: .*mask"),
    ],
)
def test_refused_before_the_first_epoch(root: Path, train: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        plan(spec_of(root, train), root, root / "out")
    assert not (root / "out").exists()


def test_data_are_opened_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segplug.data import readers

    opened = []
    read = readers.READERS["folders"].read
    counting = readers.READERS["folders"]._replace(read=lambda *about: opened.append(about) or read(*about))
    monkeypatch.setitem(readers.READERS, "folders", counting)
    assert run(spec_of(root, "{val_split: 0.25}"), root, root / "out") == 0
    assert len(opened) == 1
