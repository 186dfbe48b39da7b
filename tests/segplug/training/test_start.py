"""Where a run starts: from an earlier run's weights, from its own last epoch, and alone in its folder."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest

from segplug.errors import SegplugError
from segplug.evaluation.run import evaluate
from segplug.inference.checkpoint import load_model, read_checkpoint
from segplug.models.preprocessing import preprocessing_of
from segplug.training.config import TrainConfig
from segplug.training.run import train
from segplug.training.start import alone_in

Tiny = Callable[..., TrainConfig]
RECORDED = Path(__file__).parents[1] / "recorded" / "format1"


class FirstWeights(L.Callback):
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.weights = {k: v.clone() for k, v in pl_module.model.state_dict().items()}  # type: ignore[union-attr]
        self.preprocessing = preprocessing_of(pl_module.model)  # type: ignore[arg-type]


def epochs_of(run: Path) -> list[str]:
    return [row["epoch"] for row in csv.DictReader((run / "metrics.csv").open())]


def test_init_takes_network_and_weights_and_leaves_data_and_settings_free(
    tiny: Tiny, tmp_path: Path, add_crack: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    for k in range(3):
        add_crack(tmp_path / "own", f"wall{k}", seed=40 + k)
    first = FirstWeights()
    config = TrainConfig(
        str(tmp_path / "own"),
        init=str(RECORDED / "best.ckpt"),
        epochs=3,
        crop=32,
        batch=2,
        val_split=0,
        out=str(tmp_path / "b"),
    )
    out = train(config, [first])
    before, about = load_model(RECORDED / "best.ckpt")
    assert all(first.weights[k].equal(v) for k, v in before.state_dict().items())
    assert first.preprocessing == preprocessing_of(before)
    assert f"started from {RECORDED / 'best.ckpt'} (epoch 2 on cracks)" in capsys.readouterr().err
    saved = read_checkpoint(out / "best.ckpt")["segplug"]
    assert saved["model"] == about["model"] and saved["train"]["init"] == config.init
    origin = {"checkpoint": config.init, "epoch": 2, "data": "cracks"}
    assert saved["start"] == origin
    assert evaluate(out / "best.ckpt", tmp_path / "own", "all", "cpu")["start"] == origin
    # The run resumes without the file it began with, and settings repeat it.
    again = replace(config, resume=True, epochs=4, init=None)
    assert epochs_of(train(again)) == ["1", "2", "3", "4"]
    assert read_checkpoint(out / "last.ckpt")["segplug"]["start"] == origin


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "resnet18"}, r"best\.ckpt holds encoder 'tu-test_mambaout', not 'resnet18'; leave encoder out"),
        ({"model": "unet"}, r"best\.ckpt holds model 'gbcnet', not 'unet'"),
        ({"options": {"blocks": 2}}, r"best\.ckpt holds options .*, not {'blocks': 2}"),
        ({"encoder_weights": "imagenet"}, "holds the encoder's weights already; leave encoder_weights out"),
        ({"init": "none.ckpt"}, r"none\.ckpt: no such checkpoint"),
    ],
)
def test_init_refuses_another_network(cracks: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    settings = {"init": str(RECORDED / "best.ckpt"), "out": str(tmp_path / "run"), **changes}
    with pytest.raises(SegplugError, match=message):
        train(TrainConfig(str(cracks), **settings))


def test_encoder_weights_of_a_run_name_init(tiny: Tiny) -> None:
    with pytest.raises(SegplugError, match=r"'best\.ckpt' is a run's checkpoint; start from it with --init"):
        train(tiny(encoder_weights="best.ckpt"))


def test_resume_goes_on_to_more_epochs_but_not_to_fewer(tiny: Tiny) -> None:
    config = tiny(epochs=2)
    out = train(config)
    rate = float(list(csv.DictReader((out / "metrics.csv").open()))[-1]["lr"])
    train(replace(config, epochs=4, resume=True))
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert read_checkpoint(out / "last.ckpt")["segplug"]["row"]["epoch"] == 4 and float(rows[2]["lr"]) > 0 < rate
    with pytest.raises(SegplugError, match="epochs 4 -> 3"):
        train(replace(config, epochs=3, resume=True))


def test_best_is_no_state_to_resume(tiny: Tiny) -> None:
    config = tiny(epochs=1)
    out = train(config)
    shutil.copy(out / "best.ckpt", out / "last.ckpt")
    with pytest.raises(SegplugError, match="holds weights but no state of training; start from them with --init"):
        train(replace(config, resume=True))


def test_two_runs_never_share_a_folder(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny(epochs=1)
    out = Path(config.out)
    refused: list[str] = []

    class Second(L.Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            with pytest.raises(SegplugError, match="another run is training there; wait for it") as e:
                train(config)
            refused.append(str(e.value))

    train(config, [Second()])
    assert len(refused) == 1 and epochs_of(out) == ["1"]
    with alone_in(out, 0):  # the first has let go
        pass


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path) -> None:
    import yoloplug.files as files

    dead = tmp_path / f".{files._HOST}-{2**22 + 1}-0.part.ckpt"
    dead.write_bytes(b"half")
    with alone_in(tmp_path, 0):
        assert not dead.exists()


def test_a_refused_start_leaves_the_folder_as_it_was(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match="no such data folder"):
        train(tiny(data=str(tmp_path / "nowhere"), out=str(tmp_path / "new")))
    assert not (tmp_path / "new").exists()
