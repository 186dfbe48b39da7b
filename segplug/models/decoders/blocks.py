"""Any block of yoloplug's catalogue as a decoder block, so that an ablation is one argument.

A block stands as in a YOLO row: kind `conv` gets a 3x3 kernel and stride 1, and what the registry calls its `tail`
(batch norm and ReLU, or ReLU) follows. Only GBC stands bare, as in SCSegamba: it ends in its own norm and ReLU and adds
its input. `Conv`, a plain 3x3 convolution with batch norm and ReLU, is no block of the catalogue but what each is
compared with.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

import yoloplug.blocks  # noqa: F401  (fills the registry)
from segplug.errors import SegplugError, unknown_name
from yoloplug.registry import BLOCKS

EPS = 1e-8  # torch's 1e-5 would drown blocks whose values are small, as SCConv's are behind its softmax over channels

CONV = "Conv"


def decoder_block(name: str, c: int, options: Mapping[str, Any]) -> nn.Module:
    """Shape: (N, c, H, W) -> same. name: a key of `yoloplug.registry.BLOCKS`, or CONV; options: its further arguments.

    Raises SegplugError on an unknown name and on a width or option that the block refuses.
    """
    if name == CONV:
        if options:
            raise SegplugError(f"decoder block {CONV} takes no options, got {dict(options)}")
        return nn.Sequential(nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(inplace=True))
    if name not in BLOCKS:
        raise unknown_name("decoder block", name, [CONV, *BLOCKS])
    row = BLOCKS[name]
    try:
        block = row.cls(*((c,) if row.kind == "keep" else (c, c, 3, 1)), **options)
    except (TypeError, ValueError) as error:
        with_options = f" and {dict(options)}" if options else ""
        raise SegplugError(
            f"decoder block {name} refuses width {c}{with_options}: {error}; "
            f"its limits: {row.constraints}. Set decoder_channels or block_options"
        ) from error
    tail = "none" if name == "GBC" else row.tail
    if tail == "none":
        return block
    norm = [nn.BatchNorm2d(c, eps=EPS)] if tail == "norm+act" else []
    return nn.Sequential(block, *norm, nn.ReLU(inplace=True))
