"""From 8-bit pixels to logits, the same way in training, evaluation and prediction."""

import numpy as np
import torch
from torch import Tensor, nn

from segplug.arrays import Floats, Pixels
from segplug.errors import SegplugError
from segplug.models.preprocessing import Preprocessing, preprocessing_of


def normalise(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(N, 3, H, W) RGB uint8 -> float32, shifted and scaled as the network's weights expect."""
    mean = torch.tensor(preprocessing.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=images.device).view(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def fast_layout(model: nn.Module, device: torch.device) -> nn.Module:
    """The model itself, in the layout that oneDNN and tensor cores compute in."""
    layout = torch.preserve_format if device.type == "mps" else torch.channels_last
    return model.to(memory_format=layout)


def image_logits(model: nn.Module, images: Tensor) -> Tensor:
    """(N, 3, H, W) RGB uint8 -> (N, classes, H, W) logits; any H, W: segplug's models pad inside."""
    return model(normalise(images, preprocessing_of(model)))


@torch.inference_mode()
def crack_logits(model: nn.Module, image: Pixels, device: torch.device) -> Floats:
    """(H, W, 3) RGB uint8 -> (H, W) logits of crack. `model` must be in eval mode on `device`."""
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(device)
    return image_logits(model, pixels)[0, 0].float().cpu().numpy()


def crack_probability(model: nn.Module, image: Pixels, device: torch.device) -> Floats:
    """(H, W, 3) RGB uint8 -> (H, W) probability of crack. `model` must be in eval mode on `device`."""
    return torch.sigmoid(torch.from_numpy(crack_logits(model, image, device))).numpy()


def pick_device(name: str) -> torch.device:
    """ "auto" takes CUDA when there is one. Raises SegplugError on a device this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SegplugError(f"unknown device {name!r}; valid: auto, cpu, cuda, cuda:<number>, mps") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SegplugError(
            f"device {name!r} asked for, but torch sees {torch.cuda.device_count()} CUDA devices; use cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SegplugError("device 'mps' asked for, but this torch has none; use cpu")
    if device.type not in {"cpu", "cuda", "mps"}:
        raise SegplugError(f"unknown device {name!r}; valid: auto, cpu, cuda, cuda:<number>, mps")
    return device
