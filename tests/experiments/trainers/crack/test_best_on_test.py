"""The epoch that is best on test stands beside the one that validation chose, and is not used for anything."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.demo.cracks import draw_cracks
from experiments.run.run import run
from segplug.data.dataset import CrackDataset
from segplug.data.readers import open_data
from segplug.data.source import DataSource
from segplug.evaluation.protocol import protocol_scores
from segplug.evaluation.run import evaluate

SPEC = """\
name: tiny
task: segment
models: [{model: unet, encoder: tu-mobilenetv3_small_050}]
datasets: {data: data}
seeds: [0]
budget: {epochs: 3, imgsz: 64, batch: 2, workers: 0, threads: 1}
train: {val_split: 0.25, lr: 5.0e-3, keep_epochs: true}
"""


def test_every_epoch_is_scored_and_the_best_one_told(tmp_path: Path) -> None:
    draw_cracks(tmp_path / "data", train=4, test=2, side=64)
    mask = next((tmp_path / "data" / "test" / "masks").iterdir())
    pixels = np.asarray(Image.open(mask)).copy()
    pixels[:20] = 7  # no label: the frame's pixels there are left out
    Image.fromarray(pixels).save(mask)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("keep_", "ignore_value: 7, keep_"))
    assert run(tmp_path / "spec.yaml", tmp_path, tmp_path / "out") == 0
    (path,) = (tmp_path / "out").glob("cells/*/row.json")
    told = json.loads(path.read_text())["best_on_test"]
    data = open_data(DataSource(data=str(tmp_path / "data"), ignore_value=7))
    kept = [path.parent / "train" / "epochs" / f"{k:03}.ckpt" for k in (1, 2, 3)]
    whole = [evaluate(file, data, device="cpu") for file in kept]
    assert [result["epoch"] for result in whole] == [1, 2, 3]
    scores = [result["metrics"]["scs_compat_miou"] for result in whole]
    best = int(np.argmax(scores))
    assert told == {"epoch": best + 1, "of": 3, "by": "scs_compat_miou", "metrics": whole[best]["metrics"]}
    alone = protocol_scores(kept[best], CrackDataset(data.samples("test")), "cpu")
    assert alone == pytest.approx({name: whole[best]["metrics"][name] for name in alone}) and len(alone) == 6
