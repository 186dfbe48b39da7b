"""A trained Ultralytics model on one image: its network, its input, what it found, and the scores behind that."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import nms

from yoloplug.bridge.model import create
from yoloplug.bridge.trace import sources_of
from yoloplug.errors import YoloplugError
from yoloplug.limits import IMAGE_PX, IMGSZ


@dataclass(frozen=True)
class Score:
    """What a heat map explains: the score of one prediction (with its graph), and its class."""

    value: Tensor
    label: int


@dataclass(frozen=True)
class Inside:
    """network: as `predict` uses it, fused. input: (1, C, H, W), what it got. covers: the image pixels (left, top,
    right, bottom) under that input. outlines: what was found, polygons (P, 2) in image pixels, class, confidence.
    findings: the image with masks or key points, None where the task has neither.
    """

    network: nn.Module
    task: str
    names: dict[int, str]
    input: Tensor
    image: NDArray[np.uint8]
    covers: tuple[float, float, float, float]
    outlines: list[tuple[NDArray[Any], str, float]]
    findings: NDArray[np.uint8] | None

    @property
    def rows(self) -> list[Any]:
        """The modules of the model YAML's rows, in order."""
        return list(self.network.get_submodule("model").children())

    @property
    def yaml_name(self) -> str:
        """Of the model YAML, without suffix; empty where the checkpoint does not say."""
        described: Any = getattr(self.network, "yaml", None)
        return Path(str(described.get("yaml_file", ""))).stem if isinstance(described, dict) else ""

    def head_sources(self) -> list[int]:
        """The rows that the head reads."""
        return list(sources_of(len(self.rows) - 1, self.rows[-1].f))

    def run(self, with_graph: bool = False) -> Any:
        """The head's output, of a forward pass like the one that found `outlines`."""
        head = self.rows[-1]
        for cache in ("shape", "shapes"):  # anchors made in inference mode cannot be part of a graph
            if hasattr(head, cache):
                setattr(head, cache, None)
        with torch.set_grad_enabled(with_graph):
            return self.network(self.input.clone().requires_grad_(with_graph))

    def scores(
        self, output: Any, chosen: Sequence[int] | None, conf: float = 0.25, iou: float = 0.7, top: int = 16
    ) -> list[Score]:
        """The strongest predictions of the chosen classes (all with None), at most `top`.

        Those above `conf`, or the best one where none is; of boxes that overlap by more than `iou` the strongest. With
        iou=1 they are the predictions of Ultralytics' own heat maps. Raises YoloplugError for a task without classes.
        """
        if self.task == "depth":
            raise YoloplugError("a depth model has no class scores to explain; use --what features or gate")
        classes = sorted(self.names) if chosen is None else list(chosen)
        if self.task == "classify":
            logits = (output[1] if isinstance(output, tuple) else output)[0]
            best = max(classes, key=lambda label: float(logits[label].detach()))
            return [Score(logits[best], best)]
        if type(self.rows[-1]).__name__ == "RTDETRDecoder":  # (layers, N, queries, nc); what stands before it varies
            values, labels = _best_of(output[1][1][-1][0], classes)
            return _strongest(values.sigmoid(), labels, conf)[:top]
        while not isinstance(output, Tensor):
            output = output[0]
        if self.task == "semantic":
            return _of_pixels(output[0], classes)
        return _of_boxes(output[0], self.rows[-1], classes, conf, iou)[:top]


def look_inside(
    file: Path,
    image: Path,
    imgsz: int | None = None,
    conf: float = 0.25,
    device: str | None = None,
    trust: bool = False,
) -> Inside:
    """Run a checkpoint's own `predict` on the image and keep what it worked on. imgsz: the checkpoint's by default.

    Raises YoloplugError for a missing file and for one that is no image or no checkpoint.
    """
    if not image.is_file():
        raise YoloplugError(f"no image {str(image)!r}")
    if file.suffix != ".pt":
        raise YoloplugError(f"{file}: look needs a trained checkpoint (.pt), which has weights and layers to look into")
    if imgsz is not None and not 32 <= imgsz <= IMGSZ:
        raise YoloplugError(f"imgsz must lie between 32 and {IMGSZ:,}, got {imgsz}")
    _check_image(image)
    model = create(file, trust)
    seen: list[tuple[nn.Module, Tensor]] = []

    def keep(network: nn.Module, args: tuple[Any, ...]) -> None:
        seen.append((network, args[0]))

    model.model.register_forward_pre_hook(keep)
    options = {"imgsz": imgsz} if imgsz else {}
    found = model.predict(str(image), conf=conf, device=device, save=False, verbose=False, **options)[0]
    network, given = seen[-1]  # a copy, with the hook; the first are of the warm-up
    network._forward_pre_hooks.clear()
    picture: NDArray[np.uint8] = np.ascontiguousarray(found.orig_img[..., ::-1])
    return Inside(
        network.eval(),
        str(model.task),
        dict(found.names),
        given.detach().clone().float(),
        picture,
        _covers(picture, given, str(model.task), model.predictor),
        _outlines(found),
        _findings(found),
    )


def _check_image(file: Path) -> None:
    """Its size from the header, before OpenCV would unpack it."""
    import cv2
    from PIL import Image
    from ultralytics.utils import patches

    stock_open = getattr(patches, "_image_open", Image.open)  # without Ultralytics' own, which would install pi-heif
    if not cv2.haveImageReader(str(file)):
        raise YoloplugError(f"{file}: not an image that OpenCV can read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with stock_open(file) as header:
                is_too_large = header.width * header.height > IMAGE_PX
    except Image.DecompressionBombError:
        is_too_large = True
    except OSError:  # a format that only OpenCV knows, or no image
        is_too_large = False
    if is_too_large:
        raise YoloplugError(f"{file}: more than {IMAGE_PX:,} pixels; cut or shrink the image")
    if cv2.imread(str(file)) is None:
        raise YoloplugError(f"{file}: not an image that OpenCV can read")


def _covers(image: NDArray[np.uint8], given: Tensor, task: str, predictor: Any) -> tuple[float, float, float, float]:
    """The rectangle of image pixels under the network's input: Ultralytics pads, crops (classify) or stretches."""
    (height, width), (h, w) = image.shape[:2], given.shape[-2:]
    stretched = getattr(predictor, "scale_fill", type(predictor).__name__ == "RTDETRPredictor")
    if stretched:
        return 0.0, 0.0, float(width), float(height)
    scale = max(h / height, w / width) if task == "classify" else min(h / height, w / width)
    left, top = (w - round(width * scale)) / 2, (h - round(height * scale)) / 2
    if task != "classify":
        left, top = round(left - 0.1), round(top - 0.1)
    return 0.0 - left / scale, 0.0 - top / scale, (w - left) / scale, (h - top) / scale


def _outlines(found: Any) -> list[tuple[NDArray[Any], str, float]]:
    if getattr(found, "obb", None) is not None:
        polygons, boxes = found.obb.xyxyxyxy.cpu().numpy(), found.obb
    elif found.boxes is not None:
        corners = found.boxes.xyxy.cpu().numpy()
        polygons, boxes = corners[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2), found.boxes
    else:
        return []
    every = zip(polygons, boxes.cls, boxes.conf, strict=True)
    return [(polygon, found.names[int(number)], float(conf)) for polygon, number, conf in every]


def _findings(found: Any) -> NDArray[np.uint8] | None:
    kinds = ("masks", "keypoints", "semantic_mask", "probs", "depth")
    if all(getattr(found, kind, None) is None for kind in kinds):
        return None
    drawn: NDArray[np.uint8] = np.ascontiguousarray(found.plot(boxes=False)[..., ::-1])
    return drawn


def _of_pixels(logits: Tensor, classes: list[int]) -> list[Score]:
    """(nc, h, w): for each class the sum of its logits over the pixels that it wins; the best pixel if it wins none."""
    winner = logits.argmax(0) if len(logits) > 1 else (logits[0] <= 0).long()
    sums = [Score(logits[label][winner == label].sum(), label) for label in classes if (winner == label).any()]
    if sums:
        return sums
    label = max(classes, key=lambda c: float(logits[c].detach().max()))
    return [Score(logits[label].max(), label)]


def _of_boxes(y: Tensor, head: Any, classes: list[int], conf: float, iou: float) -> list[Score]:
    """y: what the head decoded. Its sigmoids stand for logits: to a heat map that is a factor for each prediction."""
    if getattr(head, "end2end", None):  # (predictions, x1 y1 x2 y2 score class ...)
        kept = torch.isin(y[:, 5], y.new_tensor(classes))
        return _strongest(y[kept, 4], y[kept, 5].long(), conf)
    values, labels = _best_of(y[4 : 4 + head.nc].T, classes)  # (4 + nc + ..., predictions)
    middle, half = y[:2].T.detach(), y[2:4].T.detach() / 2
    return _strongest(values, labels, conf, torch.cat([middle - half, middle + half], dim=1), iou)


def _strongest(
    values: Tensor, labels: Tensor, conf: float, boxes: Tensor | None = None, iou: float = 1.0
) -> list[Score]:
    """The predictions above conf, or the best, in falling order; with boxes (P, 4) those of one place count once."""
    strength = values.detach()
    order = strength.argsort(descending=True)
    if len(order):
        order = order[strength[order] >= min(conf, float(strength.max()))]
    if boxes is not None:
        order = order[nms(boxes[order], strength[order], iou)]
    return [Score(values[i], int(labels[i])) for i in order]


def _best_of(scores: Tensor, classes: list[int]) -> tuple[Tensor, Tensor]:
    """(predictions, nc) -> the best chosen class of each prediction: its score and number."""
    values, which = scores[:, classes].max(1)
    return values, torch.tensor(classes, device=scores.device)[which]
