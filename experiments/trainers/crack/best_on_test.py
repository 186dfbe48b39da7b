"""The epoch that papers would print: the best on the test images. Computed to stand beside, never used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.trainers.crack.data import CrackSet
from segplug.data.dataset import CrackDataset
from segplug.evaluation.protocol import protocol_scores
from segplug.evaluation.run import evaluate
from segplug.training.callbacks.epoch_record import EPOCHS

CHOSEN_BY = "scs_compat_miou"


def best_on_test(folder: Path, data: CrackSet, device: str) -> dict[str, Any]:
    """Of a run with `keep_epochs`: the epoch, what chose it, and its test metrics at threshold .5.

    Every kept epoch is scored on the test images in SCSegamba's protocol, and the first of highest mIoU is taken, as
    that paper's code does (https://arxiv.org/abs/2503.01113).
    """
    images = CrackDataset(data.test)
    kept = sorted((folder / EPOCHS).glob("*.ckpt"))
    scores = {checkpoint: protocol_scores(checkpoint, images, device)[CHOSEN_BY] for checkpoint in kept}
    best = max(kept, key=lambda checkpoint: scores[checkpoint])
    result = evaluate(best, data.opened, "test", device)
    return {"epoch": result["epoch"], "of": len(kept), "by": CHOSEN_BY, "metrics": result["metrics"]}
