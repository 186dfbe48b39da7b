"""BCE + Dice against the formula, and on batches without crack."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from segplug.losses import BCEDiceLoss, dice_loss


def test_equals_the_formula() -> None:
    logits = torch.randn(2, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    mask = (logits.flip(-1) > 0.3).float()
    p = logits.sigmoid()
    expected = binary_cross_entropy(p, mask) + 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
    torch.testing.assert_close(BCEDiceLoss()(logits, mask), expected)


def test_a_perfect_answer_costs_nothing() -> None:
    mask = torch.eye(8)[None, None]
    assert BCEDiceLoss()(200 * mask - 100, mask) < 1e-6


def test_an_empty_mask_prefers_silence_to_alarm() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    alarm = torch.full_like(mask, 4.0, requires_grad=True)
    loss = BCEDiceLoss()(alarm, mask)
    loss.backward()
    assert loss > 4 and alarm.grad is not None and (alarm.grad > 0).all()
    assert dice_loss(torch.zeros_like(mask), mask) == 0


def test_integer_masks_are_accepted_and_other_shapes_refused() -> None:
    assert BCEDiceLoss()(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2, dtype=torch.uint8)).isfinite()
    with pytest.raises(ValueError, match="differ in shape"):
        BCEDiceLoss()(torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2))
    with pytest.raises(ValueError, match="weights"):
        BCEDiceLoss(0, 0)
