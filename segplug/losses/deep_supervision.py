"""The loss of a network that also gives logits of its inner maps in training (GBCNet with deep_supervision).

Weights halve from one level to the next deeper one and sum to 1, as in nnU-Net: Isensee et al. 2021,
https://arxiv.org/abs/1904.08128, online methods.
"""

from collections.abc import Callable

from torch import Tensor


def supervised_loss(
    loss: Callable[[Tensor, Tensor], Tensor], output: Tensor | tuple[Tensor, ...], mask: Tensor
) -> Tensor:
    """`loss(logits, mask)`; of a tuple of logits, the finest first and each of the mask's size, the weighted sum."""
    levels = (output,) if isinstance(output, Tensor) else output
    weights = [0.5**level for level in range(len(levels))]
    terms = [weight / sum(weights) * loss(logits, mask) for weight, logits in zip(weights, levels, strict=True)]
    return sum(terms[1:], start=terms[0])
