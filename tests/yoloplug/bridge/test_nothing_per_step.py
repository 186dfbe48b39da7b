"""A stock model's training step runs no line of ours: the bridge costs nothing per step."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import torch
from ultralytics import YOLO

import yoloplug
from yoloplug.blocks import PointwiseConv

OURS = str(Path(yoloplug.__file__).parent)


def test_a_step_of_a_stock_model_calls_nothing_of_ours(tiny_detection_data, tmp_path):
    seen: list[str] = []
    steps = 0

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            seen.append(f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}")

    def begin(_: object) -> None:
        nonlocal steps
        steps += 1
        sys.setprofile(watch)

    model = YOLO("yolov8n.yaml")
    model.add_callback("on_train_batch_start", begin)
    model.add_callback("on_train_batch_end", lambda _: sys.setprofile(None))
    model.train(
        data=str(tiny_detection_data), epochs=1, imgsz=32, batch=2, workers=0, device="cpu", val=False, plots=False,
        project=str(tmp_path), amp=False,
    )  # fmt: skip
    assert steps >= 1
    assert seen == []
    sys.setprofile(watch)
    PointwiseConv(1, 1)(torch.zeros(1, 1, 1, 1))
    sys.setprofile(None)
    assert seen, "the watch sees our lines"
