"""Two gloo ranks on a CPU: one set of files, every validation image counted once, resuming exact."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from segplug.data.dataset import CrackDataset, EpochSampler
from segplug.data.readers import open_data
from segplug.inference.checkpoint import load_model, read_checkpoint
from segplug.inference.probability import crack_probability
from segplug.metrics import MetricSum
from segplug.training.config import TrainConfig
from segplug.training.loaders import ShareSampler

Tiny = Callable[..., TrainConfig]


@pytest.mark.parametrize("length", [1, 2, 5, 6])
def test_shares_cover_every_image_once_and_are_of_one_length(length: int) -> None:
    shares = [list(ShareSampler(length, rank, 2)) for rank in range(2)]
    assert len(shares[0]) == len(shares[1]) == -(-length // 2)
    counted = [i for rank, share in enumerate(shares) for k, i in enumerate(share) if k * 2 + rank < length]
    assert sorted(counted) == list(range(length))


def test_training_shares_are_disjoint_and_change_with_the_epoch() -> None:
    samplers = [EpochSampler(7, 0, rank, 2) for rank in range(2)]
    first, second = (list(s) for s in samplers)
    assert len(first) == len(second) == 3 and set(first).isdisjoint(second)
    samplers[0].set_epoch(1)
    assert list(samplers[0]) != first


STOP_IN_EPOCH_2 = """
import json, sys
import lightning as L
from segplug.training.config import TrainConfig
from segplug.training.run import train

class Stop(L.Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if trainer.current_epoch == 1:
            raise InterruptedError

train(TrainConfig(**json.loads(open(sys.argv[1]).read())), [Stop()])
"""


STEPS_WITHOUT_LIMIT = """
import sys
from segplug.cli import main
from segplug.training.config import TrainConfig

field = TrainConfig.__dataclass_fields__["lr"]
field.metadata = {**field.metadata, "range": (0, 1e30)}
sys.exit(main(["train", "--config", sys.argv[1]]))
"""


def run(config: TrainConfig, folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    file = folder / "run.json"
    file.write_text(json.dumps(config.plain()))
    command = [sys.executable, *(program or ("-m", "segplug", "train", "--config")), str(file)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=600)


@pytest.mark.slow
def test_two_ranks(
    tiny: Tiny, cracks: Path, add_crack: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three validation images of two sizes: the second rank has one less.
    for i, (height, width) in enumerate([(64, 64), (50, 75), (64, 64)]):
        add_crack(cracks / "val", f"v{i}", 30 + i, height, width)
    config = tiny(devices=2, batch=2, ema=0.9, accumulate=2, epochs=3, lr=5e-3, samples_every=3)
    done = run(config, tmp_path)
    assert done.returncode == 0, done.stderr
    out = Path(config.out)
    assert done.stdout.count("are in") == 1 and done.stderr.count("epoch 3/3") == 1
    assert {p.name for p in (out / "samples").iterdir()} == {f"v{i}_epoch003.png" for i in range(3)}
    assert not list(out.glob(".*part"))

    # The same images, each once, by one process.
    model, about = load_model(out / "last.ckpt")
    dataset, metrics = CrackDataset(open_data(cracks).samples("val")), MetricSum()
    for i in range(3):
        image, mask = dataset.arrays(i)
        metrics.add(crack_probability(model, image, torch.device("cpu")), mask)
    for name in ("iou_crack", "miou", "f1", "ods_f1"):
        assert about["row"][f"val_{name}"] == pytest.approx(metrics.scores()[name], rel=1e-9)

    # Stopped in its second epoch and resumed it gives the same weights.
    (tmp_path / "stop.py").write_text(STOP_IN_EPOCH_2)
    parts = replace(config, out=str(tmp_path / "parts"))
    stopped = run(parts, tmp_path, str(tmp_path / "stop.py"))
    assert stopped.returncode != 0 and "InterruptedError" in stopped.stderr
    resumed = run(replace(parts, resume=True), tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    whole, halves = (read_checkpoint(Path(c.out) / "last.ckpt") for c in (config, parts))
    assert all(whole["state_dict"][k].equal(halves["state_dict"][k]) for k in whole["state_dict"])

    # A loss that is not finite ends both ranks with one message.
    rate = TrainConfig.__dataclass_fields__["lr"]
    monkeypatch.setattr(rate, "metadata", {**rate.metadata, "range": (0, 1e30)})
    (tmp_path / "steps.py").write_text(STEPS_WITHOUT_LIMIT)
    endless = replace(config, out=str(tmp_path / "diverged"), lr=1e30, epochs=9)
    diverged = run(endless, tmp_path, str(tmp_path / "steps.py"))
    assert diverged.returncode == 2 and diverged.stderr.count("loss became") == 1, diverged.stderr
