"""What a spec says of an architecture reaches its network."""

from pathlib import Path

import pytest

from experiments.demo.cracks import draw_cracks
from experiments.run.plan import plan
from experiments.trainers.crack.options import train_config

SPEC = """\
name: tiny
task: segment
models:
  - {model: gbcnet, encoder: tu-mobilenetv3_small_050, encoder_weights: null}
  - {model: gbcnet, encoder: tu-mobilenetv3_small_050, options: {gate: sigmoid, blocks: 2}, name: sigmoid}
datasets: {data: data}
seeds: [0]
budget: {epochs: 1, imgsz: 64, batch: 2, workers: 0, threads: 1}
train: {options: {detail_channels: 8, blocks: 3}}
"""


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("gbcnet-tu-mobilenetv3_small_050-data-s0", {"detail_channels": 8, "blocks": 3}),
        ("sigmoid-data-s0", {"detail_channels": 8, "blocks": 2, "gate": "sigmoid"}),
    ],
)
def test_a_models_options_go_over_those_of_all(cell: str, options: dict[str, object], tmp_path: Path) -> None:
    draw_cracks(tmp_path / "data", train=4, test=2, side=64)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    (found,) = plan(tmp_path / "tiny.yaml", tmp_path, tmp_path / "out", only=[cell]).cells
    assert train_config(found).options == options
