"""SCSegamba: crack segmentation by structure-aware scans.

Paper: Liu et al. 2025, https://arxiv.org/abs/2503.01113. Module names are the published code's: its weights load.
Departs: images of any size (the published code takes 512 x 512); the inverse of the third scan order is right unless
`as_published`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segplug.errors import SegplugError, one_line
from segplug.models.encoders.weights import read_weights
from segplug.models.padding import crop_to, pad_to_multiple
from segplug.models.scsegamba.mfs import MFS
from segplug.models.scsegamba.savss import SAVSSLayer
from yoloplug.blocks import BottConv, GroupNorm

_WIDTH, _STRIDE, _LEVELS = 256, 8, (128, 64, 32, 16)


class SCSegamba(nn.Module):
    """Shape: (N, 3, H, W) of any H, W -> logits (N, 1, H, W). 3 051 399 parameters, trained from scratch.

    as_published: with the published code's wrong inverse of the third scan order, for weights trained with it.
    """

    def __init__(
        self, in_channels: int = 3, classes: int = 1, drop_path: float = 0.2, as_published: bool = False
    ) -> None:
        super().__init__()
        if (in_channels, classes) != (3, 1):
            raise SegplugError(
                f"SCSegamba takes RGB images and has one class, got in_channels={in_channels}, classes={classes}; "
                "use gbcnet or an smp architecture"
            )
        self.backbone = _Backbone(drop_path, as_published)
        self.MFS = MFS()
        self.name = "scsegamba"

    @classmethod
    def load_published(cls, path: Path | str) -> SCSegamba:
        """The published network in eval mode from one of the authors' checkpoints (.pth), scan-order bug included.

        Nothing in the file is run. The weights expect what they were trained on: RGB resized to 512 x 512 (bicubic) and
        scaled to -1 … 1, not `segplug.inference.probability.normalise`. Raises SegplugError on a file of another kind.
        """
        model = cls(as_published=True)
        try:
            # Beside the weights they keep the command line's arguments, a plain Namespace.
            model.load_state_dict(read_weights(Path(path), safe_types=(argparse.Namespace,)))
        except RuntimeError as error:
            raise SegplugError(f"{path}: not SCSegamba's weights: {one_line(error)}") from error
        return model.eval()

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        return crop_to(self.MFS(*self.backbone(pad_to_multiple(x, _STRIDE))), h, w)


class _PatchEmbed(nn.Module):
    """(N, 3, H, W) -> (N, 256, H/8, W/8)"""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), GroupNorm(4, 64), nn.ReLU())
        self.convs = nn.Sequential(
            *(nn.Conv2d(64, 64, 3, padding=1, bias=False), GroupNorm(4, 64), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, padding=1, bias=False), GroupNorm(4, 64), nn.ReLU()),
        )
        self.projection = nn.Conv2d(64, _WIDTH, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.convs(self.stem(x)))


class _Backbone(nn.Module):
    """Patch embedding and four SAVSS layers; each layer's output becomes one resolution, the deepest the finest."""

    def __init__(self, drop_path: float, as_published: bool) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbed()
        self.pos_embed = nn.Parameter(torch.zeros(1, 28 * 28, _WIDTH))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        rates = torch.linspace(0, drop_path, 4, device="cpu").tolist()
        self.layers = nn.ModuleList(SAVSSLayer(_WIDTH, rate, as_published) for rate in rates)
        self.norm_layer0, self.norm_layer1, self.norm_layer2 = (nn.LayerNorm(_WIDTH) for _ in range(3))
        self.ln1 = nn.LayerNorm(_WIDTH, eps=1e-6)
        for width in _LEVELS:
            self.add_module(f"conv256to{width}", BottConv(_WIDTH, width, 1, mid=width // 4))
            self.add_module(f"gn{width}", GroupNorm({128: 8, 64: 4, 32: 2, 16: 2}[width], width))

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.patch_embed(image.contiguous(memory_format=torch.channels_last))  # the layers work pixel by pixel
        position = self.pos_embed.reshape(1, 28, 28, _WIDTH).permute(0, 3, 1, 2)
        x = x + F.interpolate(position, size=x.shape[-2:], mode="bicubic")
        norms = (self.norm_layer0, self.norm_layer1, self.norm_layer2, self.ln1)
        outputs = []
        for level, (layer, norm, width) in enumerate(zip(self.layers, norms, _LEVELS, strict=True)):
            x = layer(x)
            y = self.get_submodule(f"conv256to{width}")(norm(x.movedim(1, -1)).movedim(-1, 1))
            y = self.get_submodule(f"gn{width}")(y)
            size = (image.shape[-2] * 2**level // 8, image.shape[-1] * 2**level // 8)
            outputs.append(F.interpolate(y.contiguous(), size=size, mode="bilinear"))  # the head, map by map
        return outputs
