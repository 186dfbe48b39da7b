"""SCSegamba's protocol of a network alone, for choosing among many checkpoints; `evaluate` scores one of them whole."""

from pathlib import Path

import cv2
import numpy as np

from segplug.arrays import Floats, Mask, Pixels
from segplug.data.dataset import CrackDataset
from segplug.data.labels import NO_LABEL
from segplug.inference.predictor import load_checkpoint
from segplug.inference.probability import crack_logits, pick_device
from segplug.metrics.scs_compat import saved_prediction, scs_counts, scs_scores, target_in_frame, to_frame


def protocol_scores(checkpoint: Path | str, dataset: CrackDataset, device: str = "auto") -> dict[str, float]:
    """The `scs_compat_…` numbers that `evaluate` gives. Raises SegplugError on a bad checkpoint."""
    place, (_, model, _) = pick_device(device), load_checkpoint(checkpoint, device)
    counts = []
    for index in range(len(dataset)):
        image, mask = dataset.arrays(index)
        labelled = mask != NO_LABEL
        valid = None if labelled.all() else labelled
        counts.append(scs_counts(*seen_in_frame(crack_logits(model, to_frame(image), place), mask == 1, valid)))
    stacked = (np.stack([getattr(one, part) for one in counts]) for part in ("pooled", "f1", "miou"))
    return scs_scores(np.ones(len(counts), dtype=np.int64), *stacked)


def seen_in_frame(logits: Floats, target: Mask, valid: Mask | None) -> tuple[Pixels, Mask]:
    """Saved prediction and label at the (512, 512) frame's pixels with a label; target, valid: of the photo's size."""
    if valid is None:
        seen = np.ones(logits.shape, dtype=bool)
    else:
        seen = cv2.resize(valid.view(np.uint8), logits.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return saved_prediction(logits, seen)[seen], target_in_frame(target)[seen]
