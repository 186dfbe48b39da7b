"""GraphConv equals pygcn's recorded tensors and the product with the dense adjacency matrix."""

from __future__ import annotations

import pytest
import torch

from yoloplug.blocks import GraphConv


class OnNodes(GraphConv):
    """The reference's view: (N, H * W, c1) -> (N, H * W, c2)."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2).reshape(len(x), -1, 6, 8)).flatten(2).transpose(1, 2)


def test_equals_reference(golden):
    golden("gcn_grid4_row").check(OnNodes(16, 12, normalise="row"))


def adjacency(h, w, connectivity, normalise):
    """The normalised matrix of the grid, from the paper's definition: nodes row by row, self loops added."""
    matrix = torch.zeros(h * w, h * w, dtype=torch.float64)
    for a in range(h * w):
        for b in range(h * w):
            down, across = abs(a // w - b // w), abs(a % w - b % w)
            matrix[a, b] = down + across <= 1 if connectivity == 4 else max(down, across) <= 1
    degree = matrix.sum(1)
    if normalise == "row":
        return matrix / degree[:, None]
    return matrix / (degree[:, None] * degree[None]).sqrt()


def test_recorded_adjacency_is_the_definition(golden):
    torch.testing.assert_close(adjacency(6, 8, 4, "row"), golden("gcn_grid4_row")["adj"])


@pytest.mark.parametrize("size", [(5, 7), (1, 4), (1, 1)])
@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("normalise", ["symmetric", "row"])
@pytest.mark.parametrize("s", [1, 2])
def test_equals_the_dense_product(size, connectivity, normalise, s):
    """A stride keeps every s-th node's result; the graph stays that of all pixels."""
    module = GraphConv(3, 4, s=s, connectivity=connectivity, normalise=normalise).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    nodes = x.flatten(2).transpose(1, 2)
    dense = adjacency(*size, connectivity, normalise) @ (nodes @ module.weight) + module.bias
    dense = dense.transpose(1, 2).reshape(2, 4, *size)
    torch.testing.assert_close(module(x), dense[:, :, ::s, ::s])


def test_row_normalisation_keeps_a_constant_map():
    module = GraphConv(4, 4, normalise="row", bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.eye(4))
    torch.testing.assert_close(module(torch.ones(1, 4, 5, 6)), torch.ones(1, 4, 5, 6))


def test_affine_folds_into_a_layer_without_bias():
    module, x = GraphConv(4, 6, bias=False).double(), torch.randn(1, 4, 5, 6, dtype=torch.float64)
    expected, (scale, shift) = module(x), torch.randn(2, 6, dtype=torch.float64)
    module.fold_affine(scale, shift)
    torch.testing.assert_close(module(x), expected * scale[:, None, None] + shift[:, None, None])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 5}, "k=5, but the neighbours of a pixel lie in its 3x3 window; use k=3"),
        ({"k": 1}, "use k=3"),
        ({"s": 0}, "s=0"),
        ({"connectivity": 6}, r"connectivity must be one of \(4, 8\), got 6"),
        ({"normalise": "column"}, r"normalise must be one of \('symmetric', 'row'\), got 'column'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        GraphConv(8, 8, **arguments)


def test_training_keeps_one_map():
    """The stencil is linear and its own transpose: what is kept is its result, for the product."""
    module, kept = GraphConv(16, 16), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(t), t)[1], lambda t: t):
        module(torch.randn(2, 16, 20, 20, requires_grad=True))
    assert sum(t.shape == (2, 16, 20, 20) for t in kept) == 1


def test_first_and_second_derivatives():
    module = GraphConv(2, 3).double()
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)
    assert torch.autograd.gradgradcheck(module, x)
