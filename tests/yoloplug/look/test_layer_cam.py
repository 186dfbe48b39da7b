"""LayerCAM against hand-computed maps."""

import pytest
import torch
from torch import nn

from yoloplug.look.layer_cam import heat_map, layer_cam, outputs_of


def test_one_convolution_by_hand():
    """The gradient of one output pixel is the kernel around it; LayerCAM keeps its positive part times the input."""
    conv = nn.Conv2d(2, 1, 3, padding=1, bias=False)
    x = torch.randn(1, 2, 5, 6, requires_grad=True)
    (cam,) = layer_cam(conv(x)[0, 0, 2, 3], [x])
    expected = torch.zeros(5, 6)
    for row in range(3):
        for column in range(3):
            weights, values = conv.weight[0, :, row, column], x[0, :, 1 + row, 2 + column]
            expected[1 + row, 2 + column] = (weights.clamp(min=0) * values).sum().clamp(min=0)
    assert cam.any() and torch.allclose(cam, expected)


def test_each_score_and_each_layer_count_alike():
    """Two predictions, one a thousand times weaker, in maps of two sizes: both reach 1, where they look."""
    fine = torch.ones(1, 1, 8, 8, requires_grad=True)
    coarse = torch.ones(1, 1, 4, 4, requires_grad=True)
    scores = [fine[0, 0, 0, 0] * 1000 + coarse[0, 0, 0, 0], coarse[0, 0, 3, 3] + 0.001 * fine[0, 0, 0, 7]]
    heat = heat_map(scores, [fine, coarse], (8, 8))
    assert heat.shape == (8, 8) and heat.max() == 1
    assert heat[0, 0] == heat[7, 7] == heat[0, 7] == 1
    assert heat[4, 0] == 0


def test_negative_evidence_is_left_out():
    x = torch.ones(1, 1, 2, 2, requires_grad=True)
    assert not heat_map([-x.sum()], [x], (2, 2)).any()


def test_operations_in_place_leave_the_kept_map():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True))
    with torch.no_grad():
        network[0].weight.fill_(-1.0)
        network[0].bias.fill_(0.5)
    with outputs_of([network[0]]) as outputs:
        y = network(torch.ones(1, 1, 2, 2))
    assert not y.any() and torch.equal(outputs[network[0]][0], torch.full((1, 1, 2, 2), -0.5))


def test_maps_in_lists_are_kept_and_hooks_removed():
    class Pyramid(nn.Module):
        def forward(self, x):
            return [x, x[:, :, ::2, ::2], x.mean()]

    pyramid = Pyramid()
    with outputs_of([pyramid]) as outputs:
        pyramid(torch.ones(1, 1, 4, 4))
    assert [tuple(x.shape[2:]) for x in outputs[pyramid]] == [(4, 4), (2, 2)]
    assert not pyramid._forward_hooks


def test_a_layer_behind_the_score_is_an_error():
    x, other = torch.ones(1, 1, 2, 2, requires_grad=True), torch.ones(1, 1, 2, 2, requires_grad=True)
    with pytest.raises(ValueError, match="no gradient leads"):
        layer_cam(x.sum(), [other])
