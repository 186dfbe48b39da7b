"""Stock `yolo train` from a checkpoint into a changed model: log, first weights, kill and resume, two processes."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel

import yoloplug
from tests.yoloplug.bridge.test_stock_yolo import SMALL, YOLO_COMMAND, kill_beside_a_whole, yolo
from tests.yoloplug.weights.networks import model

STILL = ["optimizer=SGD", "lr0=0", "momentum=0", "weight_decay=0", "warmup_epochs=0"]
"""Arguments with which training moves no weight, so that what is saved is what it began with."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a yolov8n of one class, and a YAML with other blocks and a row more."""
    where = tmp_path_factory.mktemp("tuning")
    torch.manual_seed(0)
    network = DetectionModel(copy.deepcopy(model("yolov8n.yaml")), nc=1, verbose=False)
    network.names = {0: "square"}
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.8, 1.2)
    torch.save({"model": network, "ema": None, "epoch": -1, "train_args": {}}, where / "source.pt")
    pairs = {"C2f": "C2f_gnConv"}
    yoloplug.swap("yolov8n.yaml", pairs, "P4", insert=[("SCConv", 4)], output=where / "yolov8-my.yaml")
    yoloplug.transfer(where / "source.pt", where / "yolov8n-my.yaml", where / "init.pt", preserve=True)
    return where


def state(file: Path) -> dict[str, torch.Tensor]:
    loaded = torch.load(file, weights_only=False)
    values: dict[str, torch.Tensor] = (loaded["ema"] or loaded["model"]).float().state_dict()
    return values


def test_stock_training_starts_from_the_placed_weights_and_says_so(folder: Path, tiny_detection_data: Path) -> None:
    train = ["detect", "train", "model=yolov8n-my.yaml", "pretrained=source.pt", f"data={tiny_detection_data}"]
    said = yolo(folder, *train, "epochs=1", "name=t", *SMALL, *STILL)
    assert said.count("of source.pt's parameters placed, 0 in another layer (by row number, as without yoloplug: ") == 1
    assert (
        "yoloplug: row 5 SCConv inserted; partly or all fresh: row 7, 13, 19; row by row, and its function kept" in said
    )
    assert "yoloplug transfer source.pt yolov8n-my.yaml" in said
    began, source = state(folder / "t/weights/best.pt"), state(folder / "source.pt")
    for ours, theirs in (("6.conv", "5.conv"), ("23.cv2.0.0.conv", "22.cv2.0.0.conv"), ("19.cv1.conv", "18.cv1.conv")):
        assert torch.equal(began[f"model.{ours}.weight"], source[f"model.{theirs}.weight"].half().float()), ours


def test_a_preserved_start_trains_as_any_checkpoint(folder: Path, tiny_detection_data: Path) -> None:
    said = yolo(
        folder, "detect", "train", "model=init.pt", f"data={tiny_detection_data}", "epochs=1", "name=p", *SMALL, *STILL
    )
    assert "yoloplug:" not in said, "rows are as they were: nothing to tell"
    began, init = state(folder / "p/weights/best.pt"), state(folder / "init.pt")
    moving = ("running_mean", "running_var", "num_batches_tracked", "settled")
    assert began.keys() == init.keys()
    assert all(torch.equal(v, init[k].half().float()) for k, v in began.items() if not k.endswith(moving))


@pytest.mark.slow
def test_killed_and_resumed_it_goes_on(folder: Path, tiny_detection_data: Path) -> None:
    last = folder / "k" / "weights" / "last.pt"
    train = [str(YOLO_COMMAND), "detect", "train", "model=init.pt", f"data={tiny_detection_data}", "epochs=200", *SMALL]
    log = (folder / "log.txt").open("w")
    process = subprocess.Popen([*train, f"project={folder}", "name=k"], cwd=folder, stdout=log, stderr=log)
    kill_beside_a_whole(last, process, folder / "log.txt")
    checkpoint = torch.load(last, weights_only=False)
    checkpoint["train_args"]["epochs"] = checkpoint["epoch"] + 3
    torch.save(checkpoint, last)
    before = checkpoint["ema"].float().state_dict()
    assert "Resuming training" in yolo(folder, "detect", "train", "resume", f"model={last}")
    after = state(last)
    assert after.keys() == before.keys()
    gammas = [key for key in after if key.endswith("gamma.weight")]
    assert gammas and all(after[key].abs().sum() > 0 for key in gammas), "they learn"
    assert not torch.equal(after["model.6.conv.weight"], before["model.6.conv.weight"])


DDP = '''
import os, subprocess, sys
import torch
from torch import distributed as dist
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.dist import generate_ddp_command


class Trainer(DetectionTrainer):
    """Ultralytics' own, where two CPUs stand for two GPUs; each process leaves its weights."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.world_size = 2

    def _setup_ddp(self):
        parallel = torch.nn.parallel.DistributedDataParallel
        torch.nn.parallel.DistributedDataParallel = lambda model, device_ids, **rest: parallel(model, **rest)
        dist.init_process_group("gloo", rank=int(os.environ["RANK"]), world_size=2)

    def _do_train(self):
        super()._do_train()
        torch.save(self.model.module.state_dict(), f"rank{os.environ['RANK']}.pt")

    def final_eval(self):
        """Of best.pt on a device by number, which a CPU has not."""


def main():
    overrides = dict(data=sys.argv[1], epochs=2, imgsz=64, batch=4, workers=0, device="cpu", plots=False, val=False,
        amp=False, project=sys.argv[2], name="ddp", exist_ok=True, seed=0, lr0=0.01, warmup_epochs=0)
    overrides.update(argument.split("=") for argument in sys.argv[3:])
    trainer = Trainer(overrides=overrides)
    command, script = generate_ddp_command(trainer)
    sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()
'''


@pytest.mark.slow
@pytest.mark.parametrize("start", [["model=init.pt"], ["model=yolov8n-my.yaml", "pretrained=source.pt"]])
def test_two_processes_end_with_the_same_weights(
    start: list[str], folder: Path, tmp_path: Path, tiny_detection_data: Path
) -> None:
    """The script that Ultralytics writes, run by its own command with two processes on gloo."""
    (tmp_path / "train.py").write_text(DDP)
    for name in ("init.pt", "source.pt", "yolov8-my.yaml"):
        (tmp_path / name).symlink_to(folder / name)
    run = subprocess.run(
        [sys.executable, "train.py", str(tiny_detection_data), str(tmp_path), *start],
        cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    ranks = [torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1)]
    of_process = ("running_mean", "running_var", "num_batches_tracked", "settled")  # each process sees its own batches
    assert all(torch.equal(ranks[0][key], ranks[1][key]) for key in ranks[0] if not key.endswith(of_process))
    began = state(folder / "init.pt") if start == ["model=init.pt"] else None
    assert began is None or any(not torch.equal(ranks[0][key], began[key]) for key in began)
    assert (run.stdout + run.stderr).count("of source.pt's parameters placed") == (began is None), "told once"
