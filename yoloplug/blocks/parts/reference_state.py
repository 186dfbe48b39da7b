"""Published weights under other names or in other shapes."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor


def known(block: str, state: Mapping[str, Tensor], names: str, renamed: Mapping[str, Any] = {}) -> dict[str, Tensor]:
    """The state, its keys after the substitutions `renamed`, regular expressions and what takes their place.

    Raises ValueError that lists the keys which the regular expression `names` does not match entirely.
    """
    ours = dict(state)
    for old, new in renamed.items():
        ours = {re.sub(old, new, key): value for key, value in ours.items()}
    strange = [key for key in ours if not re.fullmatch(names, key)]
    if strange:
        raise ValueError(
            f"{block}.convert_reference: cannot place {', '.join(strange[:5])}{' ...' * (len(strange) > 5)}; "
            "give the state of one block, without the prefix that it has in a network"
        )
    return ours


def shaped_as(state_dict: dict[str, Any], prefix: str, **parameters: Tensor) -> None:
    """Give the entries of these names, where they have as many values, the shape of the parameter, in place."""
    for name, parameter in parameters.items():
        value = state_dict.get(prefix + name)
        if value is not None and value.numel() == parameter.numel():
            state_dict[prefix + name] = value.reshape(parameter.shape)
