"""Our metrics against slow, literal or foreign implementations: brute force, scikit-image, torchmetrics, SciPy."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage.metrics import hausdorff_distance
from skimage.morphology import dilation, disk, skeletonize
from skimage.segmentation import find_boundaries
from torchmetrics.functional.classification import binary_average_precision

from segplug.metrics import AllMetrics, distance_to_outline, hd95_px, saved_prediction

Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def drawn(seed: int) -> Masks:
    """Two (40, 56) masks of one crack, drawn by two hands, with a false alarm."""
    rng = np.random.default_rng(seed)
    points = np.stack([np.linspace(2, 53, 6), rng.uniform(8, 32, 6)], axis=1)
    masks = []
    for width in rng.integers(1, 5, 2):
        mask = np.zeros((40, 56), dtype=np.uint8)
        cv2.polylines(mask, [(points + rng.normal(0, 1.2, points.shape)).astype(np.int32)], False, 1, int(width))
        masks.append(mask)
    masks[0][2:5, 3:6] = 1
    return masks[0] > 0, masks[1] > 0


def scores_of(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, float]:
    total = AllMetrics()
    total.add("x", found.astype(np.float32), truth.astype(np.uint8), found.astype(np.uint8), truth)
    return total.scores()


@pytest.mark.parametrize("seed", range(6))
def test_tolerance_is_dilation_by_a_disk(seed: int) -> None:
    found, truth = drawn(seed)
    scores = scores_of(found, truth)
    for r in (1, 2, 5):
        precision = (found & dilation(truth, disk(r))).sum() / found.sum()
        recall = (truth & dilation(found, disk(r))).sum() / truth.sum()
        assert scores[f"f1_tol{r}px"] == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize("seed", range(6))
def test_cldice_by_the_papers_equations(seed: int) -> None:
    found, truth = drawn(seed)
    precision = truth[skeletonize(found, method="lee") > 0].mean()
    sensitivity = found[skeletonize(truth, method="lee") > 0].mean()
    expected = 2 * precision * sensitivity / (precision + sensitivity)
    assert scores_of(found, truth)["cldice"] == pytest.approx(expected)


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 70, 90, 110, 135, 160])
@pytest.mark.parametrize("width_px", [3, 4, 7])
def test_cldice_of_a_strip_found_by_half(angle_deg: int, width_px: int) -> None:
    """Precision 1 and sensitivity 1/2 by geometry, whatever the thinning."""
    rows, columns = np.mgrid[:96, :96] - 48.0
    turn = np.deg2rad(angle_deg)
    along = columns * np.cos(turn) - rows * np.sin(turn)
    truth = (abs(columns * np.sin(turn) + rows * np.cos(turn)) < width_px / 2) & (abs(along) < 40)
    assert scores_of(truth & (along < 0), truth)["cldice"] == pytest.approx(2 / 3, abs=0.03)


def test_cldice_of_a_falling_diagonal_strip() -> None:
    """Zhang's thinning leaves one pixel of this strip: sensitivity would be 0 or 1."""
    rows, columns = np.mgrid[:64, :64]
    truth = (columns - rows >= -1) & (columns - rows <= 2) & (rows >= 10) & (columns < 54)
    truth &= (rows < 54) & (columns >= 10)
    assert scores_of(truth & (rows < 32), truth)["cldice"] == pytest.approx(2 / 3, abs=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_hd95_from_all_pairs_of_outline_pixels(seed: int) -> None:
    found, truth = drawn(seed)
    outlines = []
    for mask in (found, truth):
        wide = np.pad(mask, 1)  # the picture's border counts as outside
        outlines.append((find_boundaries(wide, connectivity=1, mode="inner") & wide)[1:-1, 1:-1])
    apart = cdist(np.argwhere(outlines[0]), np.argwhere(outlines[1]))
    expected = max(np.percentile(apart.min(axis=1), 95), np.percentile(apart.min(axis=0), 95))
    assert scores_of(found, truth)["hd95_px"] == pytest.approx(expected, rel=1e-6)
    distances = distance_to_outline(found), distance_to_outline(truth)
    assert hd95_px(found, truth, *distances, diagonal_px=0, percentile=100) == pytest.approx(
        hausdorff_distance(*outlines), rel=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_agrees_with_torchmetrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    total = AllMetrics()
    images = []
    for _ in range(3):
        truth = rng.random((50, 70)) < 0.1
        probability = np.clip(rng.normal(0.3 + 0.3 * truth, 0.15), 0, 0.999).astype(np.float32)
        total.add("x", probability, truth.astype(np.uint8), np.zeros((1, 1), np.uint8), np.zeros((1, 1), bool))
        images.append((probability, truth))
    p, t = (torch.from_numpy(np.stack(a)) for a in zip(*images, strict=True))
    expected = binary_average_precision(p, t.long()).item()
    assert total.scores()["ap"] == pytest.approx(expected, abs=5e-4)
    # With probabilities on the histogram's own grid nothing is lost.
    exact = AllMetrics()
    steps = [((np.floor(q.astype(np.float64) * 500) + 0.5) / 500, u) for q, u in images]
    for q, u in steps:
        exact.add("x", q, u.astype(np.uint8), np.zeros((1, 1), np.uint8), np.zeros((1, 1), bool))
    p = torch.from_numpy(np.stack([q for q, _ in steps]))
    assert exact.scores()["ap"] == pytest.approx(binary_average_precision(p, t.long()).item(), abs=1e-6)


def test_saved_predictions_equal_opencvs_rounding() -> None:
    """The published code hands 255·logit/max(logit) as floats to OpenCV, which converts them to 8 bits."""
    logits = np.random.default_rng(0).normal(0, 4, (64, 64)).astype(np.float32)
    converted = cv2.add(255 * (logits / logits.max()), 0.0, dtype=cv2.CV_8U)
    assert np.array_equal(saved_prediction(logits), converted)


@pytest.mark.parametrize("threads", [0, 1, 2])
@pytest.mark.parametrize("side", [100, 512])
def test_distances_are_roots_of_whole_numbers_on_any_number_of_threads(side: int, threads: int) -> None:
    rng, mask = np.random.default_rng(0), np.zeros((side, side), dtype=np.uint8)
    for start, end in rng.integers(0, side, (6, 2, 2)):
        cv2.line(mask, tuple(map(int, start)), tuple(map(int, end)), 1, 1)
    before, ipp = cv2.getNumThreads(), cv2.ipp.useIPP()
    cv2.setNumThreads(threads)
    found = distance_to_outline(mask > 0)
    cv2.setNumThreads(before)
    exact = np.sqrt(np.rint(ndimage.distance_transform_edt(found > 0) ** 2)).astype(np.float32)
    assert np.array_equal(found, exact) and cv2.ipp.useIPP() == ipp
