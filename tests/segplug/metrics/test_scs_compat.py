"""SCSegamba's protocol against its own steps, an image and threshold at a time; end to end by files of OpenCV."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from segplug.evaluation.run import evaluate_predictions
from segplug.metrics import saved_prediction, scs_counts, scs_scores

SIZES = ((90, 120), (140, 100), (64, 64), (200, 150))


def drawn(seed: int, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """0/255 label and probabilities of .002 to .998; of every four pictures one has no label, one only p below .5."""
    rng = np.random.default_rng(seed)
    label = np.zeros((height, width), dtype=np.uint8)
    if seed % 4 != 1:
        points = np.stack([np.linspace(5, width - 5, 5), rng.uniform(10, height - 10, 5)], axis=1).astype(np.int32)
        cv2.polylines(label, [points], False, 255, 3)
    logits = cv2.GaussianBlur(rng.normal(-1.5, 2, label.shape) + label / 60, (0, 0), 1.2)
    probability = (1 / (1 + np.exp(-logits))).clip(0.002, 0.998)
    if seed % 4 == 3:
        probability *= 0.45
    return label, probability.astype(np.float32)


def write_as_published(folder: Path, name: str, label: NDArray[np.uint8], logits: NDArray[np.float32]) -> None:
    """512x512, cubic; the label cut at 127; both divided by their largest value and handed to OpenCV as floats."""
    target = (cv2.resize(label, (512, 512), interpolation=cv2.INTER_CUBIC) > 127).astype(np.float64)
    out = cv2.resize(logits, (512, 512), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / f"{name}_lab.png"), 255 * target / max(target.max(), 1))
    cv2.imwrite(str(folder / f"{name}_pre.png"), 255 * (out / out.max()))


def read_as_published(folder: Path) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.bool_]]]:
    labels = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) > 127 for file in sorted(folder.glob("*_lab.png"))]
    return [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in sorted(folder.glob("*_pre.png"))], labels


def score_as_published(found: list[NDArray[np.uint8]], labels: list[NDArray[np.bool_]]) -> dict[str, float]:
    f1 = np.zeros((100, len(labels)))
    miou = np.zeros((100, len(labels)))
    pooled = np.zeros(3)
    for k, threshold in enumerate(np.arange(0.0, 1.0, 0.01)):
        for i, (picture, truth) in enumerate(zip(found, labels, strict=True)):
            hit = picture / 255 > threshold
            tp, fp, fn, tn = map(np.count_nonzero, (hit & truth, hit & ~truth, ~hit & truth, ~hit & ~truth))
            precision = 1.0 if tp == 0 and fp == 0 else tp / (tp + fp)
            recall = 0.0 if tp + fn == 0 else tp / (tp + fn)
            f1[k, i] = 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)
            if tp + fp + fn > 0:
                miou[k, i] = (tp / (tp + fp + fn) + tn / (tn + fp + fn)) / 2
            if k == 0:
                pooled += (tp, fp, fn)
    tp, fp, fn = pooled
    return {
        "scs_compat_ods": f1.mean(axis=1).max(),
        "scs_compat_ois": f1.max(axis=0).mean(),
        "scs_compat_precision": tp / (tp + fp),
        "scs_compat_recall": tp / (tp + fn),
        "scs_compat_f1": 2 * tp / (2 * tp + fp + fn),
        "scs_compat_miou": miou.mean(axis=1).max(),
    }


def test_the_protocol_step_by_step(tmp_path: Path) -> None:
    for folder in ("data/images", "data/masks", "found", "published"):
        (tmp_path / folder).mkdir(parents=True)
    for seed, size in enumerate(SIZES):
        label, probability = drawn(seed, *size)
        cv2.imwrite(str(tmp_path / f"data/images/{seed}.png"), np.zeros((*size, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f"data/masks/{seed}.png"), label)
        np.save(tmp_path / f"found/{seed}.npy", probability)
        p = probability.astype(np.float64)
        write_as_published(tmp_path / "published", str(seed), label, np.log(p / (1 - p)).astype(np.float32))
    assert cv2.imread(str(tmp_path / "published/3_pre.png"), cv2.IMREAD_GRAYSCALE).min() == 255
    scores = evaluate_predictions(tmp_path / "found", tmp_path / "data", split="all")["metrics"]
    ours = {name: value for name, value in scores.items() if name.startswith("scs_compat_")}
    assert len(ours) == 6 and ours == pytest.approx(
        score_as_published(*read_as_published(tmp_path / "published")), rel=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
def test_counts_and_scores_step_by_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    saved, truths = [], []
    for i in range(4):
        truth = drawn(12 * seed + 4 * i, 40, 56)[0] > 0 if i else np.zeros((40, 56), dtype=bool)
        logits = (rng.normal(-1, 1, truth.shape) + 3 * truth).astype(np.float32)
        saved.append(saved_prediction(logits if i < 3 else logits - 20))  # the last one is all white
        truths.append(truth)
    assert saved[3].min() == 255
    images = [scs_counts(picture, truth) for picture, truth in zip(saved, truths, strict=True)]
    stacked = (np.stack([getattr(image, name) for image in images]) for name in ("pooled", "f1", "miou"))
    assert scs_scores(np.ones(4, dtype=int), *stacked) == pytest.approx(score_as_published(saved, truths), rel=1e-12)


def test_as_many_false_pixels_as_crack_pixels() -> None:
    """tp - fp + fn is 0 then, and nothing is empty."""
    truth = np.array([[True, True, False, False, False, False]])
    counts = scs_counts(np.array([[255, 255, 255, 255, 0, 0]], dtype=np.uint8), truth)
    assert counts.miou == pytest.approx(np.full(len(counts.miou), (2 / 4 + 2 / 4) / 2))
    assert counts.f1 == pytest.approx(np.full(len(counts.f1), 2 / 3))
