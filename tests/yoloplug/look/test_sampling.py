"""Sampling positions: the block's output can be rebuilt from what is drawn."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yoloplug.blocks import DCNv1, DCNv2, DCNv3, DCNv4
from yoloplug.look.figures import Scene
from yoloplug.look.offset_figure import draw_offsets, field_px, taps_px
from yoloplug.look.sampling import Sampling
from yoloplug.look.views import views_of

BLOCKS = {
    "DCNv1": lambda: DCNv1(8, 6, 3, 2, offset_groups=2),
    "DCNv1 dilated": lambda: DCNv1(8, 6, 3, 1, d=2),
    "DCNv2": lambda: DCNv2(8, 6, 5, 2, offset_groups=2),
    "DCNv3": lambda: DCNv3(8, groups=2),
    "DCNv3 scaled": lambda: DCNv3(8, groups=2, offset_scale=2.0, remove_center=True),
    "DCNv4": lambda: DCNv4(8, groups=2),
    "DCNv4 dilated": lambda: DCNv4(8, 3, groups=4, d=2, offset_scale=0.5),
}


def sampling_of(block: nn.Module, x: torch.Tensor) -> Sampling:
    (view,) = views_of(block, lambda: block(x))
    assert view.sampling is not None
    return view.sampling


def values_at(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """x: (groups, C, H, W); positions (groups, taps, 2, h, w) in pixels -> (groups, C, taps, h, w), 0 outside."""
    groups, taps, _, h, w = positions.shape
    size = torch.tensor(x.shape[2:], dtype=positions.dtype).reshape(1, 1, 2, 1, 1)
    grid = (2 * positions + 1) / size - 1
    grid = grid.flip(2).permute(0, 1, 3, 4, 2).reshape(groups, taps * h, w, 2)
    return F.grid_sample(x, grid, align_corners=False).reshape(groups, -1, taps, h, w)


@pytest.mark.parametrize("name", BLOCKS)
def test_the_output_is_rebuilt_from_positions_and_weights(name):
    block = BLOCKS[name]().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.3)
    x = torch.randn(1, 8, 9, 12)
    seen = sampling_of(block, x)
    groups = seen.moved.shape[0]
    with torch.no_grad():
        if name.startswith(("DCNv1", "DCNv2")):
            values = values_at(x.reshape(groups, -1, 9, 12), seen.moved)
            values = values if seen.weights is None else values * seen.weights[:, None]
            y = torch.einsum("cdt,dthw->chw", block.weight.flatten(2), values.flatten(0, 1))
        else:
            project = block.input_proj if isinstance(block, DCNv3) else block.value_proj
            value = project(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).reshape(groups, -1, 9, 12)
            y = (values_at(value, seen.moved) * seen.weights[:, None]).sum(2).reshape(8, 9, 12)
            y = block.output_proj(y.permute(1, 2, 0)).permute(2, 0, 1)
        assert torch.allclose(y, block(x)[0], atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_fresh_block_looks_at_the_regular_taps(name):
    seen = sampling_of(BLOCKS[name](), torch.randn(1, 8, 9, 12))
    assert not seen.displacement.any() and seen.size == (9, 12)


def scene(covers: tuple[float, float, float, float]) -> Scene:
    return Scene(np.zeros((36, 48, 3), np.uint8), covers)


def test_a_known_offset_is_drawn_at_that_shift():
    """1 down and 2 across on a map whose pixels are 4 image pixels high and wide."""
    block = DCNv1(8, 6)
    with torch.no_grad():
        block.conv_offset.bias.copy_(torch.tensor([1.0, 2.0]).repeat(9))
    seen = sampling_of(block, torch.randn(1, 8, 9, 12))
    regular, moved, weights = taps_px(scene((0, 0, 48, 36)), seen, (25.0, 17.0))
    assert weights is None
    assert regular[4].tolist() == [26, 18]  # the centre of column 6, row 4
    assert np.allclose(moved - regular, [8, 4])
    length, across, down = field_px(scene((0, 0, 48, 36)), seen)
    assert np.allclose(length, np.hypot(8, 4)) and np.allclose(across, 8) and np.allclose(down, 4)


def test_padding_of_the_network_shifts_what_is_drawn():
    """Of 36 rows under the map the first 12 are padding: the picture's row 0 is the map's row 3."""
    seen = sampling_of(DCNv1(8, 6), torch.randn(1, 8, 9, 12))
    regular, _, _ = taps_px(scene((0, -12, 48, 24)), seen, (2.0, 2.0))
    assert regular[4].tolist() == [2, 2] and regular[0].tolist() == [-2, -2]


def test_the_figure_shows_places_field_and_modulation():
    seen = sampling_of(DCNv2(8, 6), torch.randn(1, 8, 9, 12))
    figure = draw_offsets(scene((0, 0, 48, 36)), seen, [(10, 10), (30, 20)], "title")
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert len(titles) == 4 and titles[0].startswith("place 1") and titles[3].startswith("modulation")
    assert figure.get_suptitle() == "title"
    with pytest.raises(ValueError, match="place 100,10 lies outside"):
        draw_offsets(scene((0, 0, 48, 36)), seen, [(100, 10)], "title")
