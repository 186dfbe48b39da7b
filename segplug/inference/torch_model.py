"""Networks that `segplug export` wrote for torch (.pt2, .torchscript), run without segplug's model code."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segplug.arrays import Floats, Pixels
from segplug.errors import SegplugError, first_line
from segplug.inference.stored import TORCH_REFUSES, check_about, check_archive
from segplug.models.padding import crop_to, pad_to_multiple

ABOUT = "segplug.json"
"""File inside the archive with what is known of the model."""


class ExportedModel:
    """multiple: what its input sizes must be a multiple of, at least the double, in px; 1 for any size."""

    def __init__(self, network: nn.Module, multiple: int) -> None:
        self.network, self.multiple = network, multiple

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB uint8 of any size -> (N, 1, H, W)"""
        h, w = images.shape[-2:]
        tiny = min(h, w) <= self.multiple and self.multiple > 1
        padded = pad_to_multiple(images, (1 + tiny) * self.multiple)
        return crop_to(self.network(padded), h, w)

    def probability(self, image: Pixels) -> Floats:
        """(H, W, 3) RGB uint8 -> (H, W)"""
        images = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        return torch.sigmoid(self.logits(images)[0, 0]).numpy()


def load_exported(path: Path) -> tuple[ExportedModel, dict[str, Any]]:
    """The network and what was stored about it. Raises SegplugError on a file that `segplug export` did not write."""
    extra: dict[str, Any] = {ABOUT: ""}
    check_archive(path)
    try:
        if path.suffix == ".pt2":
            network = torch.export.load(path, extra_files=extra).module()
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated; users of it know
                network = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)
    except TORCH_REFUSES as error:
        reason = first_line(error)
        raise SegplugError(f"{path}: not a readable model ({reason}); export it again") from error
    if not extra[ABOUT]:
        raise SegplugError(f"{path}: no model of `segplug export` (it holds no {ABOUT}); export the checkpoint")
    try:
        about = json.loads(extra[ABOUT])
    except ValueError as error:
        raise SegplugError(f"{path}: its {ABOUT} is damaged ({error})", "export it again") from error
    check_about(path, about)
    return ExportedModel(network, about["size_multiple_px"]), about
