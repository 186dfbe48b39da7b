"""What the bridge says of Ultralytics' training in fields, not in the words of its messages."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ultralytics.engine.trainer import BaseTrainer

from yoloplug.bridge.training import NonFiniteLoss, name_non_finite_loss


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
