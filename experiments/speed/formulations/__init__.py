"""Each block's forward pass as its mathematics is written down, with the block's own weights.

As a reader would type it from the block's page, in the way of the published code where that has one: windows unfolded,
torchvision's operation for DCNv1 and v2, a loop over groups and taps for DCNv4, a sparse matrix for the graph. A
formulation takes block and map and gives the result; it is never called by a block.
"""

from collections.abc import Callable

from torch import Tensor

from experiments.speed.formulations import adaptive, deformable, fixed, units

__all__ = ["FORMULATIONS"]

FORMULATIONS: dict[str, Callable[..., Tensor]] = {
    function.__name__: function
    for room in (fixed, adaptive, deformable, units)
    for function in vars(room).values()
    if getattr(function, "__module__", "") == room.__name__ and not function.__name__.startswith("_")
}
"""Name of the block -> its formulation, (block, x) -> y."""
