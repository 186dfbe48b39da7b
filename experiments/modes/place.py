"""What a cell works on: a tiny data set, a video, a model YAML and the checkpoint of its first training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ultralytics import YOLO

IMGSZ = 64


@dataclass(frozen=True)
class Place:
    """One row of the table: a model YAML and a folder of its own. block: none for the stock model."""

    folder: Path
    data: Path
    video: Path
    model: Path
    block: str

    def train(self, name: str, start: Path | None = None, at_start: Any = None, **arguments: Any) -> Any:
        """Ultralytics' trainer after a short training with these arguments. at_start: a callback."""
        model: Any = YOLO(str(start or self.model))
        if at_start is not None:
            model.add_callback("on_train_start", at_start)
        model.train(**self.arguments(name) | arguments)
        trainer = model.trainer
        loss = float(trainer.loss.detach().sum())
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}")
        self.check_block(trainer.model)
        return trainer

    def arguments(self, name: str) -> dict[str, Any]:
        """Of the shortest training."""
        return {
            "data": str(self.data), "epochs": 1, "imgsz": IMGSZ, "batch": 2, "workers": 0, "device": "cpu",
            "plots": False, "project": str(self.folder), "name": name, "exist_ok": True, "verbose": False,
        }  # fmt: skip

    def check_block(self, network: Any) -> None:
        """Raises LookupError where the block did not come along."""
        if self.block and not any(type(m).__name__ == f"C2f_{self.block}" for m in network.modules()):
            raise LookupError(f"no C2f_{self.block} in the model")

    def checkpoint(self) -> Path:
        """best.pt of the first training; trained where it is missing."""
        best = self.folder / "train" / "weights" / "best.pt"
        if not best.exists():
            self.train("train")
        return best

    def trained(self) -> Any:
        """`YOLO` of the checkpoint."""
        model: Any = YOLO(str(self.checkpoint()))
        self.check_block(model.model)
        return model


def drawn(folder: Path) -> tuple[Path, Path]:
    """(data.yaml, video): six images of a bright square on noise, and the square on its way through eight frames."""
    random = np.random.default_rng(0)

    def square(x: int, y: int) -> Any:
        image = random.integers(0, 90, (IMGSZ, IMGSZ, 3), dtype=np.uint8)
        image[y : y + 20, x : x + 20] = 220
        return image

    for i in range(6):
        x, y = (int(v) for v in random.integers(4, 40, 2))
        split = "train" if i < 4 else "val"
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "images" / split / f"{i}.png"), square(x, y))
        box = [(x + 10) / IMGSZ, (y + 10) / IMGSZ, 20 / IMGSZ, 20 / IMGSZ]
        (folder / "labels" / split / f"{i}.txt").write_text("0 " + " ".join(map(str, box)))
    video = folder / "square.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 8, (IMGSZ, IMGSZ))
    for i in range(8):
        writer.write(square(4 + 4 * i, 20))
    writer.release()
    data = folder / "data.yaml"
    data.write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames: [square]\n")
    return data, video
