"""Each loss against numbers worked out by hand or by a plain loop; sums as text; masks without crack."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from segplug.errors import SegplugError
from segplug.losses import LOSSES, LossSum, bce, cldice, dice, focal, lovasz, soft_skeleton, tversky
from segplug.losses.weighted_sum import Term

THIRD = math.log(2)  # logit of p = 2/3; its negative of 1/3


def example() -> tuple[Tensor, Tensor]:
    logits = torch.randn(2, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    return logits, (logits.flip(-1) > 0.3).float()


def test_four_pixels_by_hand() -> None:
    # p = 2/3, 1/3 on crack and 2/3, 1/3 beside it: TP = 1, FP = 1, FN = 1.
    logits = torch.tensor([THIRD, -THIRD, THIRD, -THIRD]).view(1, 1, 2, 2)
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    near, far = math.log(3 / 2), math.log(3)  # BCE of a pixel whose p_t is 2/3, 1/3
    assert bce(logits, mask).item() == pytest.approx((2 * near + 2 * far) / 4)
    assert bce(logits, mask, pos_weight=3).item() == pytest.approx((3 * near + 3 * far + near + far) / 4)
    assert dice(logits, mask).item() == pytest.approx(1 - (2 + 1) / (4 + 1))
    assert tversky(logits, mask).item() == pytest.approx(1 - 2 / (1 + 0.3 + 0.7 + 1))
    assert tversky(logits, mask, alpha=0.1, beta=2, smooth=0.5).item() == pytest.approx(1 - 1.5 / 3.6)
    light, heavy = near / 9, far * 4 / 9
    expected = (0.25 * (light + heavy) + 0.75 * (light + heavy)) / 4
    assert focal(logits, mask).item() == pytest.approx(expected)
    # Hinge errors 1 - ln 2 and 1 + ln 2; sorted 1+a (crack), 1+a (not), 1-a (crack), 1-a (not).
    # Jaccard losses of the sets so far: 1/2, 2/3, 1, 1, so the steps are 1/2, 1/6, 1/3, 0; equal errors may swap.
    a = THIRD
    assert lovasz(logits, mask).item() == pytest.approx((1 + a) * 2 / 3 + (1 - a) / 3)


def test_dice_per_image_is_the_mean_over_images() -> None:
    logits, mask = example()
    singly = torch.stack([dice(logits[i : i + 1], mask[i : i + 1]) for i in range(2)]).mean()
    torch.testing.assert_close(dice(logits, mask, per_image=True), singly)
    assert dice(logits, mask) != singly
    torch.testing.assert_close(
        lovasz(logits, mask, per_image=True), (lovasz(logits[:1], mask[:1]) + lovasz(logits[1:], mask[1:])) / 2
    )


def test_dice_and_tversky_agree_with_smp_where_there_is_crack() -> None:
    logits, mask = example()
    theirs = smp.losses.DiceLoss("binary", smooth=0.0)(logits, mask)
    torch.testing.assert_close(dice(logits, mask, smooth=0), theirs)
    theirs = smp.losses.TverskyLoss("binary", smooth=0.0, alpha=0.2, beta=0.9)(logits, mask)
    torch.testing.assert_close(tversky(logits, mask, alpha=0.2, beta=0.9, smooth=0), theirs)


def naive_skeleton(x: list[list[float]], iterations: int) -> list[list[float]]:
    h, w = len(x), len(x[0])

    def neighbours(y: int, z: int, around: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(y + b, z + c) for b, c in around if 0 <= y + b < h and 0 <= z + c < w]

    cross = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]
    square = [(b, c) for b in (-1, 0, 1) for c in (-1, 0, 1)]

    def pool(a: list[list[float]], around: list[tuple[int, int]], pick: object) -> list[list[float]]:
        return [[pick(a[i][j] for i, j in neighbours(y, z, around)) for z in range(w)] for y in range(h)]  # type: ignore[operator]

    skeleton = [[0.0] * w for _ in range(h)]
    for step in range(iterations + 1):
        x = pool(x, cross, min) if step else x
        opened = pool(pool(x, cross, min), square, max)
        for y in range(h):
            for z in range(w):
                skeleton[y][z] += (1 - skeleton[y][z]) * max(0.0, x[y][z] - opened[y][z])
    return skeleton


def test_the_soft_skeleton_is_the_papers_algorithm() -> None:
    p = torch.rand(1, 1, 9, 11, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(soft_skeleton(p, 3)[0, 0], torch.tensor(naive_skeleton(p[0, 0].tolist(), 3)))


def test_a_bar_has_its_middle_as_skeleton() -> None:
    bar = torch.zeros(1, 1, 11, 20)
    bar[..., 4:7, :] = 1
    skeleton = soft_skeleton(bar, 3)
    assert skeleton[..., 5, :].eq(1).all() and skeleton[..., [0, 1, 2, 3, 7, 8, 9, 10], :].eq(0).all()


def test_cldice_counts_a_gap_in_a_thin_crack() -> None:
    # A line of 20 px of which 5 are missed: precision (15 + 1)/(15 + 1), sensitivity (15 + 1)/(20 + 1).
    mask = torch.zeros(1, 1, 9, 20)
    mask[..., 4, :] = 1
    logits = 200 * mask - 100
    assert cldice(logits, mask).item() == pytest.approx(0, abs=1e-6)
    logits[..., 4, 5:10] = -100
    s = 16 / 21
    assert cldice(logits, mask, iterations=3).item() == pytest.approx(1 - 2 * s / (1 + s), abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_mask_without_crack_prefers_silence_to_alarm(name: str) -> None:
    loss, mask = LOSSES[name], torch.zeros(2, 1, 16, 16)
    alarm = torch.full_like(mask, 4.0, requires_grad=True)
    cost = loss(alarm, mask)
    cost.backward()
    assert alarm.grad is not None and alarm.grad.isfinite().all() and (alarm.grad >= 0).all()
    # Lovász looks at the worst pixel, so at one of two hundred and more.
    assert (alarm.grad > 0).sum() == (1 if name == "lovasz" else mask.numel())
    assert loss(torch.full_like(mask, -12.0), mask) < 0.05 < 0.5 < cost
    assert smp.losses.DiceLoss("binary")(alarm, mask) == smp.losses.TverskyLoss("binary")(alarm, mask) == 0


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("truth", [0, 1])
@pytest.mark.parametrize("logit", [-100.0, 0.0, 100.0])
def test_extremes_stay_finite(name: str, truth: int, logit: float) -> None:
    logits = torch.full((1, 1, 8, 8), logit, requires_grad=True)
    cost = LOSSES[name](logits, torch.full((1, 1, 8, 8), float(truth)))
    cost.backward()
    assert cost.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_descent_finds_the_crack(name: str) -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 7:9, 2:14] = 1
    logits = torch.zeros_like(mask, requires_grad=True)
    text = f"0.5*dice + 0.5*{name}"
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(40):
        optimiser.zero_grad()
        LossSum(text)(logits, mask).backward()
        optimiser.step()
    assert ((logits > 0) == (mask > 0)).float().mean() == 1


def test_a_sum_as_text() -> None:
    logits, mask = example()
    p = logits.sigmoid()
    sums = 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
    torch.testing.assert_close(LossSum("bce + dice")(logits, mask), binary_cross_entropy(p, mask) + sums)
    torch.testing.assert_close(LossSum("0.83*bce+0.17*dice")(logits, mask), 0.83 * bce(logits, mask) + 0.17 * sums)
    assert LossSum("1e-1 * tversky(beta=2, per_image=True) + cldice(iterations=4)").terms == [
        Term(0.1, "tversky", {"beta": 2.0, "per_image": True}),
        Term(1.0, "cldice", {"iterations": 4}),
    ]


FORMS = [*LOSSES, "dice(per_image=True)", "tversky(per_image=True, smooth=0)", "lovasz(per_image=True)"]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("cut", [(slice(None), ..., slice(4, None)), (slice(1, None),)], ids=["half", "image"])
def test_the_loss_is_that_of_labelled_pixels_alone(text: str, cut: tuple[object, ...]) -> None:
    """Columns without label on the right, or a whole image: as if cut off, in value and gradient."""
    logits, mask = example()
    alone = torch.ones(2, 1, 5, 7, dtype=torch.bool)
    alone[cut] = False
    shape = (2, 1, 5, 4) if alone[1].any() else (1, 1, 5, 7)
    short = logits[alone].view(shape).clone().requires_grad_()
    expected = LossSum(text)(short, mask[alone].view(shape))
    expected.backward()
    for change in (0.0, 3.0):
        whole = torch.where(alone, logits, logits + change).requires_grad_()
        cost = LossSum(text)(whole, mask.masked_fill(~alone, 255).byte())
        cost.backward()
        torch.testing.assert_close(cost, expected)
        assert whole.grad is not None and short.grad is not None and short.grad.ne(0).any()
        torch.testing.assert_close(whole.grad[alone], short.grad.flatten())
        assert whole.grad[~alone].eq(0).all()


@pytest.mark.parametrize("text", FORMS)
def test_without_any_label_the_loss_is_0_without_gradient(text: str) -> None:
    logits, mask = example()
    logits.requires_grad_()
    cost = LossSum(text)(logits, torch.full_like(mask, 255))
    cost.backward()
    assert cost == 0 and logits.grad is not None and logits.grad.eq(0).all()


def test_half_precision_and_integer_masks_are_accepted_and_other_shapes_refused() -> None:
    loss = LossSum("bce+dice+focal+tversky+lovasz+cldice")
    logits, mask = example()
    torch.testing.assert_close(loss(logits.bfloat16(), mask.byte()), loss(logits.bfloat16().float(), mask))
    with pytest.raises(ValueError, match="differ in shape"):
        loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bec", "unknown loss 'bec'; did you mean bce"),
        ("bce + ", "is no weighted sum; write"),
        ("", "is no weighted sum"),
        ("bce - dice", "is no weighted sum"),
        ("bce*2", "is no weighted sum"),
        ("2", "is no weighted sum"),
        ("bce(1)", "is no weighted sum"),
        ("bce(**{})", "is no weighted sum"),
        ("a.b", "is no weighted sum"),
        ("-1*bce", "weight of bce must be above 0, got -1"),
        ("0*bce", "weight of bce must be above 0"),
        ("1e999*bce", "weight of bce must be above 0, got inf"),
        ("bce(alpha=1)", "unknown option of bce 'alpha' [(]valid: pos_weight"),
        ("cldice(iterations=2.5)", "iterations of cldice must be a whole number of 0 or more, got 2.5"),
        ("tversky(beta=-1)", "beta of tversky must be a number of 0 or more"),
        ("dice(per_image=1)", "per_image of dice must be True or False"),
    ],
)
def test_other_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(SegplugError, match=message):
        LossSum(text)
