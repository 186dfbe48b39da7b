"""The modes, each a short run on one model; what must hold beyond "it ended" is checked here."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics import YOLO

from experiments.modes.place import IMGSZ, Place
from yoloplug.bridge.training import train_in_bf16

FAMILIES = {
    "stock": "",
    "merged branches": "DBB",
    "deformable": "DCNv2",
    "experts": "CondConv",
    "gated, recursive": "gnConv",
    "reconstruction": "SCConv",
    "filters of each pixel": "Involution",
    "residual unit": "Res2NetBottleneck",
}
"""Family -> the block that stands for it, in the C2f rows of P3 of a yolov8n."""


class _Stopped(Exception):
    pass


def train(place: Place) -> None:
    place.train("train")


def resume(place: Place) -> None:
    def stop(_: Any) -> None:
        raise _Stopped

    first: Any = YOLO(str(place.model))
    first.add_callback("on_model_save", stop)
    try:
        first.train(**place.arguments("resume") | {"epochs": 3})
    except _Stopped:
        pass
    trainer = place.train("resume", place.folder / "resume" / "weights" / "last.pt", resume=True, epochs=3)
    if (trainer.start_epoch, trainer.epoch) != (1, 2):
        raise AssertionError(f"resumed at epoch {trainer.start_epoch}, ended at {trainer.epoch}")


def freeze(place: Place) -> None:
    start = place.checkpoint()
    before = place.trained().model.state_dict()
    after = place.train("freeze", start, freeze=10, pretrained=True).model.state_dict()
    frozen = [k for k in before if int(k.split(".")[1]) < 10 and "running" not in k and "num_batches" not in k]
    moved = [k for k in frozen if not torch.equal(before[k].float(), after[k].float())]
    if moved or not frozen:
        raise AssertionError(f"frozen and changed: {moved[:3]}")


def bf16(place: Place) -> None:
    place.train("bf16", at_start=train_in_bf16)


def val(place: Place) -> None:
    found = place.trained().val(data=str(place.data), imgsz=IMGSZ, batch=2, workers=0, device="cpu", plots=False,
                                project=str(place.folder), name="val", exist_ok=True, verbose=False)  # fmt: skip
    if not np.isfinite(list(found.results_dict.values())).all():
        raise FloatingPointError(str(found.results_dict))


def half(place: Place) -> None:
    """The fused network in float16, against float32."""
    network: Any = place.trained().model.float().eval().fuse(verbose=False)
    x = torch.rand(1, 3, IMGSZ, IMGSZ)
    with torch.inference_mode():
        _compare(copy.deepcopy(network).half()(x.half()), network(x), 0.05)


def predict(**arguments: Any) -> Callable[[Place], None]:
    def run(place: Place) -> None:
        source = str(place.video if arguments.get("stream") else place.data.parent / "images" / "val")
        found = list(place.trained().predict(source, **_PREDICTION | {"project": str(place.folder)} | arguments))
        if len(found) != (8 if arguments.get("stream") else 2):
            raise AssertionError(f"{len(found)} results")
        if "embed" in arguments and not all(torch.isfinite(f).all() for f in found):
            raise FloatingPointError("embeddings")

    return run


def track(place: Place) -> None:
    found = place.trained().track(
        str(place.video), tracker="bytetrack.yaml", **_PREDICTION | {"project": str(place.folder)}
    )
    if len(found) != 8:
        raise AssertionError(f"{len(found)} frames")


def export(tolerance: float, **arguments: Any) -> Callable[[Place], None]:
    """tolerance: of the exported outputs, over the largest value; infinite where only running is asked."""

    def run(place: Place) -> None:
        data = {"data": str(place.data), "fraction": 1.0} if arguments.get("quantize") == 8 else {}
        file = place.trained().export(imgsz=IMGSZ, device="cpu", **arguments, **data)
        if arguments["format"] == "ncnn":
            _check_layers(Path(file))
        x = torch.from_numpy(np.random.default_rng(0).random((1, 3, IMGSZ, IMGSZ), dtype=np.float32))
        outputs = []
        for name in (str(place.checkpoint()), file):
            model: Any = YOLO(name, task="detect")
            model.predict(np.zeros((IMGSZ, IMGSZ, 3), np.uint8), **_PREDICTION | {"project": str(place.folder)})
            outputs.append(model.predictor.model(x))
        _compare(outputs[1], outputs[0], tolerance)

    return run


def _check_layers(folder: Path) -> None:
    """pnnx writes operations that it cannot translate under torch's names; ncnn then loads an empty network."""
    kinds = {line.split()[0] for line in (folder / "model.ncnn.param").read_text().splitlines()[2:]}
    if unknown := sorted(kind for kind in kinds if "." in kind):
        raise NotImplementedError(f"ncnn has no {', '.join(unknown)}")


def benchmark(place: Place) -> None:
    table = place.trained().benchmark(
        data=str(place.data), imgsz=IMGSZ, device="cpu", format="torchscript", verbose=False
    )
    if "TorchScript" not in str(table):
        raise AssertionError(str(table))


def tune(place: Place) -> None:
    arguments = place.arguments("tune") | {"val": True, "save": True}
    model: Any = YOLO(str(place.checkpoint()))
    model.tune(iterations=1, **arguments)
    if not list(place.folder.glob("tune*/tune_results.*")):
        raise FileNotFoundError("tune_results")


def training(name: str, **arguments: Any) -> Callable[[Place], None]:
    def run(place: Place) -> None:
        place.train(name, **arguments)

    return run


_PREDICTION = {"imgsz": IMGSZ, "conf": 0.001, "device": "cpu", "name": "predict", "exist_ok": True, "verbose": False}

MODES: dict[str, Callable[[Place], None]] = {
    "train": train,
    "resume": resume,
    "freeze": freeze,
    "multi_scale": training("multi_scale", multi_scale=0.5),
    "close_mosaic": training("close_mosaic", epochs=2, close_mosaic=1),
    "bf16": bf16,
    "val": val,
    "half": half,
    "predict": predict(),
    "visualize": predict(visualize=True, save=True),
    "embed": predict(embed=[4, 15]),
    "augment": predict(augment=True),
    "stream": predict(stream=True),
    "track": track,
    "torchscript": export(1e-3, format="torchscript"),
    "onnx dynamic": export(1e-3, format="onnx", dynamic=True),
    "openvino": export(2e-2, format="openvino"),
    "openvino int8": export(float("inf"), format="openvino", quantize=8),
    "ncnn": export(2e-2, format="ncnn"),
    "benchmark": benchmark,
    "tune": tune,
    "compile": training("compile", compile=True),
}
"""Column -> its run, the cheap ones first."""


def _compare(found: Any, expected: Any, tolerance: float) -> None:
    """The first output of both. Raises AssertionError beyond the tolerance and for values that are none."""
    a, b = (torch.as_tensor(y[0] if isinstance(y, list | tuple) else y).float() for y in (found, expected))
    off = float((a - b).abs().max() / b.abs().max())
    if not torch.isfinite(a).all() or not off <= tolerance:
        raise AssertionError(f"outputs differ by {off:.2g} of the largest value")
