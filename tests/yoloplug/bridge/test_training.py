"""What the bridge says of Ultralytics' training in fields, not in the words of its messages."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import LOGGER

from yoloplug.bridge.training import (
    NonFiniteLoss,
    SavedWeights,
    _as_float,
    argument_fault,
    argument_names,
    image_suffixes,
    logging_to,
    loss_of,
    name_non_finite_loss,
    optimizers,
    quiet,
    train_in_bf16,
)


def trainer(loss: float, last: Path, attempts: int = 0) -> SimpleNamespace:
    """As much of a trainer as its recovery looks at, in the third epoch."""
    made = SimpleNamespace(
        loss=torch.tensor(loss), fitness=None, start_epoch=0, last=last, nan_recovery_attempts=attempts
    )
    if hasattr(BaseTrainer, "_handle_nan_recovery"):
        made._handle_nan_recovery = lambda epoch: BaseTrainer._handle_nan_recovery(made, epoch)
    return made


def test_a_loss_that_stays_nan_is_named_with_its_epoch(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"")
    broken = trainer(float("nan"), tmp_path / "last.pt", attempts=3)
    name_non_finite_loss(broken)
    if not hasattr(broken, "_handle_nan_recovery"):
        pytest.skip("this release of Ultralytics trains on")
    with pytest.raises(NonFiniteLoss) as caught:
        broken._handle_nan_recovery(2)
    assert caught.value.epoch == 3 and isinstance(caught.value.__cause__, RuntimeError)
    fine = trainer(1.5, tmp_path / "last.pt")
    name_non_finite_loss(fine)
    assert fine._handle_nan_recovery(2) is False
    older = SimpleNamespace()  # a release without recovery
    name_non_finite_loss(older)
    assert not vars(older)


def test_the_loss_of_an_epoch_is_the_sum_of_its_parts() -> None:
    """Releases from 8.4 on name them."""
    parts = torch.tensor([1.0, 2.0, 0.5])
    assert loss_of(SimpleNamespace(tloss=parts)) == 3.5
    assert loss_of(SimpleNamespace(tloss={"box": parts[0], "cls": parts[1]})) == 3.0


def test_arguments_and_optimizers_that_ultralytics_takes() -> None:
    assert argument_fault("imgsz", 64) is None
    assert "'epochs=many' is of invalid type str" in (argument_fault("epochs", "many") or "")
    assert {"SGD", "AdamW", "auto"} <= set(optimizers()) and not any(" " in name for name in optimizers())


def test_trainings_log_where_they_are_asked_to_and_settings_stay() -> None:
    from ultralytics.utils import SETTINGS

    loggers = {"clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"} & SETTINGS.keys()
    settings, file = dict(SETTINGS), Path(str(SETTINGS.file)).read_bytes()
    try:
        for wished in (True, False):
            dict.update(SETTINGS, dict.fromkeys(loggers, wished))
            before = dict(SETTINGS)
            with logging_to(("tensorboard",)):
                assert {name for name in loggers if SETTINGS[name]} == {"tensorboard"}
                assert SETTINGS.keys() == before.keys()
            assert dict(SETTINGS) == before
    finally:
        dict.update(SETTINGS, settings)
    assert Path(str(SETTINGS.file)).read_bytes() == file


def test_in_bf16_layers_compute_narrow_and_the_last_one_answers_in_float32() -> None:
    seen: list[torch.dtype] = []

    class Head(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> dict[str, list[torch.Tensor]]:
            seen.append(x.dtype)
            return {"maps": [super().forward(x), torch.ones(1, dtype=torch.int64)]}

    for wrapped in (False, True):  # in DistributedDataParallel
        model = SimpleNamespace(model=nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), Head(4, 2, 1)))
        given = SimpleNamespace(module=model) if wrapped else model
        train_in_bf16(SimpleNamespace(model=given, device=torch.device("cpu")))
        maps, counts = model.model(torch.zeros(1, 3, 4, 4))["maps"]
        assert seen.pop() == torch.bfloat16 and maps.dtype == torch.float32 and counts.dtype == torch.int64
        assert not torch.is_autocast_enabled("cpu") and model.model[0].weight.dtype == torch.float32
        assert model.model[1](torch.zeros(1, 4, 4, 4)).dtype == torch.bfloat16
        with pytest.raises(RuntimeError):
            model.model(torch.zeros(1, 5, 4, 4))
        assert not torch.is_autocast_enabled("cpu")


def test_what_the_last_layer_gives_is_float32_however_it_is_packed() -> None:
    half = torch.ones(1, dtype=torch.bfloat16)
    made = _as_float((half, [half, {"a": half}], torch.arange(2), "b", None))
    assert isinstance(made, tuple) and isinstance(made[1], list) and made[3:] == ("b", None)
    kinds = [value.dtype for value in (made[0], made[1][0], made[1][1]["a"], made[2])]
    assert kinds == [torch.float32] * 3 + [torch.int64]


def test_names_of_arguments_and_of_images() -> None:
    assert {"epochs", "imgsz", "optimizer"} <= argument_names() and {".jpg", ".png"} <= image_suffixes()


def test_warnings_only_and_then_as_before() -> None:
    LOGGER.setLevel("DEBUG")
    with pytest.raises(KeyError), quiet():
        assert LOGGER.level == logging.WARNING
        raise KeyError
    assert LOGGER.level == logging.DEBUG
    LOGGER.setLevel("INFO")


def checkpoint(file: Path, epoch: int, **arguments: str) -> None:
    """With a network, as Ultralytics writes one: torch's own plain types are not enough to read it."""
    torch.save({"epoch": epoch, "model": nn.Identity(), "train_args": arguments}, file)


def read(file: Path) -> dict[str, Any]:
    return dict(torch.load(file, weights_only=False))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:50])


@pytest.fixture
def saved(tmp_path: Path) -> SavedWeights:
    """last.pt of epoch 4, best.pt of epoch 2, both kept."""
    (tmp_path / "run" / "weights").mkdir(parents=True)
    (tmp_path / "copies").mkdir()
    weights = SavedWeights(tmp_path / "run" / "weights" / "last.pt", tmp_path / "copies")
    for epoch, fitness in ((2, 0.9), (4, 0.5)):
        checkpoint(weights.last, epoch)
        if epoch == 2:
            checkpoint(weights.best, epoch)
        weights.keep(SimpleNamespace(best_fitness=0.9, fitness=fitness))
    return weights


def epochs(weights: SavedWeights) -> tuple[int, int]:
    return read(weights.last)["epoch"], read(weights.best)["epoch"]


def test_copies_lie_where_they_are_wished_else_beside(saved: SavedWeights) -> None:
    assert {path.name for path in saved.copies.values()} == {"last_saved.pt", "best_saved.pt"}
    assert [read(path)["epoch"] for path in saved.copies.values()] == [4, 2]
    beside = SavedWeights(saved.last)
    assert beside.copies[saved.best] == saved.best.with_name("best_saved.pt")
    saved.forget()
    saved.forget()
    assert not any(path.exists() for path in saved.copies.values())


def test_what_a_kill_has_cut_is_mended(saved: SavedWeights) -> None:
    saved.mend()
    assert epochs(saved) == (4, 2) and saved.exist and saved.epoch == 4
    cut(saved.last)
    assert not saved.exist
    saved.mend()
    assert epochs(saved) == (4, 2) and saved.exist
    cut(saved.best)  # last.pt is whole and of an epoch: it was being saved as the best
    saved.mend()
    assert epochs(saved) == (4, 4)
    checkpoint(saved.last, 0)
    cut(saved.best)
    saved.mend()
    assert epochs(saved) == (0, 0)
    checkpoint(saved.last, -1)  # the optimiser was being taken out
    cut(saved.best)
    saved.mend()
    assert epochs(saved) == (-1, 2)
    saved.forget()
    cut(saved.best)
    saved.mend()
    assert not saved.best.exists() and saved.last.exists()
    cut(saved.last)
    saved.mend()
    assert not saved.exist


def test_the_optimiser_is_taken_out_once(saved: SavedWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    from ultralytics.utils import torch_utils

    stripped: list[str] = []
    monkeypatch.setattr(torch_utils, "strip_optimizer", lambda path: stripped.append(path.name))
    checkpoint(saved.best, 0)
    saved.finish()
    assert stripped == ["last.pt", "best.pt"] and not any(path.exists() for path in saved.copies.values())
    checkpoint(saved.last, -1)
    cut(saved.best)
    saved.finish()
    assert stripped == ["last.pt", "best.pt"]


def test_a_run_that_was_moved_goes_on_where_it_is(saved: SavedWeights, tmp_path: Path) -> None:
    run, data = saved.last.parents[1], tmp_path / "data.yaml"
    for elsewhere in ({"save_dir": "/elsewhere/run", "data": str(data)}, {"save_dir": str(run), "data": "/other.yaml"}):
        checkpoint(saved.last, 3, project="/elsewhere", name="mine", **elsewhere)
        saved.settle(data)
        named = read(saved.last)
        here = {"project": str(run.parent), "save_dir": str(run), "data": str(data), "name": "mine"}
        assert named["epoch"] == 3 and named["train_args"] == here and isinstance(named["model"], nn.Identity)
    before = saved.last.stat().st_mtime_ns
    saved.settle(data)
    assert saved.last.stat().st_mtime_ns == before


def test_checkpoints_of_a_gpu_are_looked_at_on_the_cpu(
    saved: SavedWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(saved.last, 3, save_dir=str(tmp_path), data="a")
    asked: list[Any] = []
    real = torch.load
    monkeypatch.setattr(torch, "load", lambda file, **given: asked.append(given) or real(file, **given))
    assert saved.epoch == 3
    saved.settle(tmp_path)
    assert asked == [{"map_location": "cpu", "weights_only": False}] * 2
