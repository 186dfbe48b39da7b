"""A checkpoint for passing on: weights in half precision, with its threshold and scales. Read as any checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segplug.inference.checkpoint import MODEL, weights_digest


def save_half(
    network: nn.Module, trained: Mapping[str, Any], path: Path, threshold: float, scales: Sequence[float]
) -> None:
    """trained: what `load_model` returned beside the network.

    Kernels are rounded to 16 bits; norms, biases and stored statistics, of which there are few, stay as they are. Of
    absolute paths among the settings the last name is kept: a file for others tells nothing of its maker's folders.
    """
    weights = {MODEL + name: _rounded(tensor) for name, tensor in network.state_dict().items()}
    added = {"sha256": weights_digest(weights), "threshold": threshold, "scales": list(scales)}
    torch.save({"state_dict": weights, "segplug": {**_without_folders(dict(trained)), **added}}, path)


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_folders(item) for item in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _rounded(tensor: Tensor) -> Tensor:
    return (tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor.clone()).contiguous()
