"""Pictures of the images that were scored worst: photo, label, and where the prediction was right, wrong or missing."""

from heapq import heapify, heappushpop
from pathlib import Path

from segplug.arrays import Mask
from segplug.data.dataset import CrackDataset
from segplug.data.images.writing import write_picture
from segplug.draw import draw_comparison


class WorstImages:
    """Keeps the predictions of the `keep` images of lowest IoU, whatever the number of images."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._heap: list[tuple[float, int, str, Mask, Mask | None]] = []

    def add(self, iou: float, index: int, name: str, prediction: Mask, valid: Mask | None) -> None:
        """`index`: of the image in its dataset. Of equal images the earlier one is kept."""
        entry = (-iou, -index, name, prediction, valid)
        if len(self._heap) < self._keep:
            self._heap.append(entry)
            heapify(self._heap)
        elif self._keep and entry > self._heap[0]:
            heappushpop(self._heap, entry)

    def write(self, folder: Path, dataset: CrackDataset) -> list[Path]:
        """folder/01_iou0.1234_NAME.png …, worst first. Raises SegplugError when it cannot be written."""
        files = []
        for rank, (iou, index, name, prediction, valid) in enumerate(sorted(self._heap, reverse=True), start=1):
            image, mask = dataset.arrays(-index)
            file = folder / f"{rank:02}_iou{-iou:.4f}_{name}.png"
            write_picture(file, draw_comparison(image, mask == 1, prediction, valid, -iou))
            files.append(file)
        return files
