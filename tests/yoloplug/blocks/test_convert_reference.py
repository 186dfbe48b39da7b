"""Every convert_reference takes its own state as it is and refuses keys that it cannot place."""

import pytest
import torch
from torch import nn

from yoloplug.blocks import OctavePair
from yoloplug.registry import BLOCKS

CONVERTERS = {name: row.cls for name, row in BLOCKS.items() if hasattr(row.cls, "convert_reference")}
CONVERTERS["OctavePair"] = OctavePair


def module(name: str) -> nn.Module:
    conv = name == "OctavePair" or BLOCKS[name].kind == "conv"
    return CONVERTERS[name](16, 24) if conv else CONVERTERS[name](16)


@pytest.mark.parametrize("name", sorted(CONVERTERS))
def test_unknown_keys_are_refused_and_named(name: str) -> None:
    state = module(name).state_dict()
    with pytest.raises(ValueError, match=f"{name}.convert_reference: cannot place .*wait; give"):
        CONVERTERS[name].convert_reference(state | {"backbone_wait": torch.zeros(1)})


@pytest.mark.parametrize("name", sorted(set(CONVERTERS) - {"Res2NetBottleneck"}))  # its parts change places
def test_own_state_comes_back(name: str) -> None:
    state = module(name).state_dict()
    converted = CONVERTERS[name].convert_reference(dict(state))
    assert converted.keys() == state.keys() and all(torch.equal(converted[key], state[key]) for key in state)
