"""Pretrained encoder weights from a file: for encoders without a hub, and for machines without a network."""

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders import TimmUniversalEncoder
from torch import Tensor, nn

from segplug.errors import SegplugError, first_line, one_line


def load_encoder_weights(encoder: nn.Module, path: Path) -> None:
    """Fill an smp or timm encoder from a .pth or .safetensors file of the same network, its classifier left out.

    Raises SegplugError when the file cannot be read safely or lacks a tensor of the encoder.
    """
    given, wanted = read_weights(path), network_of(encoder).state_dict()
    sources = {name: name if name in given else _published_name(name) for name in wanted}
    missing = [name for name, source in sources.items() if source not in given]
    if missing:
        raise SegplugError(
            f"{path}: not this encoder's weights: it lacks {len(missing)} of {len(wanted)} tensors, "
            f"for example {missing[0]}; the file begins with {next(iter(given), 'nothing')}"
        )
    fill_encoder(encoder, {name: given[source] for name, source in sources.items()}, path)


def network_of(encoder: nn.Module) -> nn.Module:
    """The network whose names published weights use: timm's own inside smp's wrapper, else the encoder itself."""
    network = encoder.model if isinstance(encoder, TimmUniversalEncoder) else encoder
    assert isinstance(network, nn.Module)
    return network


def fill_encoder(encoder: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load tensors under the encoder's own names. Raises SegplugError that names `path`, where they come from."""
    try:
        network_of(encoder).load_state_dict(weights)
    except RuntimeError as error:
        raise SegplugError(f"{path}: not this encoder's weights: {one_line(error)}") from error


def read_weights(path: Path, safe_types: tuple[type, ...] = ()) -> dict[str, Tensor]:
    """The tensors of a weights file by name, wherever training code put them: bare, under "model" or "state_dict".

    Nothing in the file is run. safe_types: further classes that the file may hold. Raises SegplugError.
    """
    if not path.is_file():
        raise SegplugError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            contents: Any = load_file(path)
        else:
            with _allowed(safe_types):
                contents = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        reason = first_line(error)
        raise SegplugError(f"{path}: not a readable weights file ({reason})") from error
    for key in ("model", "state_dict"):
        if isinstance(contents, dict) and isinstance(contents.get(key), dict):
            contents = contents[key]
    if not isinstance(contents, dict) or not all(isinstance(value, Tensor) for value in contents.values()):
        raise SegplugError(f"{path}: holds no table of named tensors; use a file of state_dict()")
    return {str(name).removeprefix("module."): tensor for name, tensor in contents.items()}


def _published_name(name: str) -> str:
    """timm's feature extractors call the published `stages.0` `stages_0`; HorNet's `gamma1` is a layer here."""
    return re.sub(r"(gamma[12])\.weight$", r"\1", re.sub(r"^(\w+?)_(\d+)\.", r"\1.\2.", name))


@contextmanager
def _allowed(types: tuple[type, ...]) -> Iterator[None]:
    """`torch.serialization.safe_globals`, which torch 2.4 does not have."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(list(types))
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
