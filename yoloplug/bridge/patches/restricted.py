"""Model YAMLs may come with a file from anywhere; stock Ultralytics evaluates their `activation` as Python and calls
whatever a row names. Here only layers and plain values pass."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

LONGEST = 200
"""Characters of an activation."""

_now = threading.local()


@contextmanager
def restricted() -> Iterator[None]:
    """Within it, a model that is built (because a checkpoint asks for it) passes `refuse_code` first."""
    _now.restricted = True
    try:
        yield
    finally:
        _now.restricted = False


def is_restricted() -> bool:
    return getattr(_now, "restricted", False)


def refuse_code(model: Mapping[str, Any], namespace: Mapping[str, Any]) -> None:
    """Raises ValueError for a row of `model` that names no layer of `namespace`, and for an activation that is code."""
    if model.get("activation") is not None:
        check_activation(model["activation"])
    for row in (*model["backbone"], *model["head"]):
        name = str(row[2])
        if "." not in name and name in namespace and not is_layer(namespace[name]):
            raise ValueError(f"{name!r} is no layer")


def check_activation(text: object) -> None:
    """Raises ValueError for anything but a class of torch.nn and literal arguments, `nn.LeakyReLU(0.1)`."""
    try:
        call = ast.parse(str(text)[:LONGEST].strip(), mode="eval").body
        if isinstance(call, ast.Call) and len(str(text)) <= LONGEST:
            name = re.fullmatch(r"(?:torch\.)?nn\.(\w+)", ast.unparse(call.func))
            for value in (*call.args, *(keyword.value for keyword in call.keywords)):
                ast.literal_eval(value)
            if name and is_layer(getattr(nn, name[1], None)):
                return
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass
    raise ValueError(f"'activation' is a layer of torch.nn with plain arguments, such as nn.SiLU(), got {text!r:.60}")


def is_layer(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, nn.Module)
