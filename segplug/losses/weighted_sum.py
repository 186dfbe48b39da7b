"""A loss written as a sum: "bce + dice", "0.5*dice(per_image=True) + 0.5*cldice(iterations=5)"."""

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from segplug.errors import SegplugError, unknown_name
from segplug.losses.overlap import dice, tversky
from segplug.losses.pixels import bce, focal, lovasz
from segplug.losses.topology import cldice

LOSSES: dict[str, Callable[..., Tensor]] = {f.__name__: f for f in (bce, dice, focal, tversky, lovasz, cldice)}


@dataclass(frozen=True)
class Term:
    """weight · LOSSES[name](logits, mask, **options)."""

    weight: float
    name: str
    options: Mapping[str, float | bool]


class LossSum:
    """Weighted sum of LOSSES, on logits. Raises SegplugError on text it does not understand."""

    def __init__(self, text: str) -> None:
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise _not_a_sum(text) from error
        self.terms = [_term(part, text) for part in _summands(tree)]

    def __call__(self, logits: Tensor, mask: Tensor) -> Tensor:
        """(N, 1, H, W) logits and mask of 0 and 1 -> scalar, computed in float32 whatever the network's type.

        Where the mask is 255 there is no label: the loss is that of the other pixels alone, 0 where there are none.
        """
        if logits.shape != mask.shape:
            raise ValueError(f"logits {tuple(logits.shape)} and mask {tuple(mask.shape)} differ in shape")
        values = [term.weight * LOSSES[term.name](logits.float(), mask, **term.options) for term in self.terms]
        return sum(values[1:], start=values[0])


def _summands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_summands(node.left), *_summands(node.right)]
    return [node]


def _term(node: ast.expr, text: str) -> Term:
    weight = 1.0
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        weight, node = _number(node.left, text), node.right
    call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
    if not isinstance(call.func, ast.Name) or call.args or any(k.arg is None for k in call.keywords):
        raise _not_a_sum(text)
    name = call.func.id
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    if not (math.isfinite(weight) and weight > 0):
        raise SegplugError(f"loss {text!r}: the weight of {name} must be above 0, got {weight:g}")
    options = {str(k.arg): _option(name, str(k.arg), k.value, text) for k in call.keywords}
    return Term(weight, name, options)


def _option(loss: str, name: str, node: ast.expr, text: str) -> Any:
    """The value, of the type of the option's default."""
    known = {n: p.default for n, p in inspect.signature(LOSSES[loss]).parameters.items() if p.default is not p.empty}
    if name not in known:
        raise unknown_name(f"option of {loss}", name, known)
    if isinstance(known[name], bool):
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return node.value
        raise SegplugError(f"loss {text!r}: {name} of {loss} must be True or False")
    value = _number(node, text)
    if value < 0 or value != type(known[name])(value):
        kind = "a whole number" if isinstance(known[name], int) else "a number"
        raise SegplugError(f"loss {text!r}: {name} of {loss} must be {kind} of 0 or more, got {value:g}")
    return type(known[name])(value)


def _number(node: ast.expr, text: str) -> float:
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1.0, node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return sign * node.value
    raise _not_a_sum(text)


def _not_a_sum(text: str) -> SegplugError:
    return SegplugError(
        f'loss {text!r} is no weighted sum; write, for example, "0.83*bce + 0.17*dice" or '
        f'"bce + tversky(beta=0.8)" with {", ".join(LOSSES)}'
    )
