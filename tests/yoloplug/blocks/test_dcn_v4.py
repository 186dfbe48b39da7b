"""DCNv4 equals the authors' recorded tensors (their module works on rows of pixels), and starts so that it trains."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from yoloplug.blocks import DCNv4


class OnRows(DCNv4):
    """The reference's view: (N, H * W, c) -> same, for a map of given width."""

    wide: int

    def forward(self, x):
        y = super().forward(x.transpose(1, 2).unflatten(2, (-1, self.wide)))
        return y.flatten(2).transpose(1, 2)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("name", "wide", "module"),
    [
        ("dcnv4", 13, OnRows(32, groups=2)),
        ("dcnv4_rc_nopw", 15, OnRows(16, groups=1, remove_center=True, without_pointwise=True)),
        ("dcnv4_nobias", 15, OnRows(16, groups=1, output_bias=False, d=2)),
    ],
)
def test_equals_reference(golden, name, wide, module):
    module.wide = wide
    golden(name).check(module)


def test_parameter_count_is_the_published_one():
    assert sum(p.numel() for p in DCNv4(64).parameters()) == 15600


@pytest.mark.parametrize(("remove_center", "taps"), [(False, 9), (True, 8)])
def test_starts_as_the_mean_of_the_window(remove_center, taps):
    """The authors' start gives 0 everywhere and no gradient before the output projection."""
    module = DCNv4(8, groups=2, remove_center=remove_center).double()
    x = torch.randn(1, 8, 9, 11, dtype=torch.float64)
    value = module.value_proj(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    window = torch.full((8, 1, 3, 3), 1 / taps, dtype=torch.float64)
    if remove_center:
        window[:, :, 1, 1] = 0
    mean = nn.functional.conv2d(value, window, padding=1, groups=8)
    torch.testing.assert_close(module(x), module.output_proj(mean.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


@pytest.mark.parametrize("options", [{}, {"dw_k": 3}, {"center_feature_scale": True}, {"without_pointwise": True}])
def test_every_parameter_learns_from_the_first_step(options):
    module = DCNv4(16, **options)
    module(torch.randn(1, 16, 7, 9)).square().sum().backward()
    still = {name for name, p in module.named_parameters() if not p.grad.any()}
    # A depthwise convolution in front of a predictor that starts at zero waits one step, as in the reference.
    assert still == ({"offset_mask_dw.weight", "offset_mask_dw.bias"} if "dw_k" in options else set())


def test_the_authors_start_does_not_train():
    module = DCNv4(16)
    nn.init.zeros_(module.offset_mask.bias)
    y = module(torch.randn(1, 16, 7, 9))
    assert not y.any()
    (y - 1).square().sum().backward()
    assert not module.value_proj.weight.grad.any()


def test_centre_feature_scale_blends_with_the_unmoved_value():
    """A huge bias of the gate makes the block its two projections; at 0 it is half of both."""
    module = DCNv4(8, groups=2, center_feature_scale=True).double()
    x = torch.randn(1, 8, 6, 7, dtype=torch.float64)
    plain = DCNv4(8, groups=2).double()
    plain.load_state_dict(module.state_dict(), strict=False)
    both = nn.Sequential(module.value_proj, module.output_proj)(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(module(x), (plain(x) + both) / 2)
    nn.init.constant_(module.center_feature_scale_proj_bias, 1e3)
    torch.testing.assert_close(module(x), both)


def test_whole_pixel_offsets_look_at_neighbours():
    """Offsets are (dx, dy), multiplied by offset_scale like the grid."""
    module = DCNv4(4, k=1, groups=1, offset_scale=2.0, without_pointwise=True)
    with torch.no_grad():
        module.offset_mask.bias[:3] = torch.tensor([1.0, -0.5, 3.0])
    x = torch.randn(1, 4, 6, 7)
    torch.testing.assert_close(module(x)[:, :, 1:, :-2], 3 * x[:, :, :-1, 2:], rtol=1e-5, atol=1e-5)


def test_without_projections_an_affine_still_folds():
    module, x = DCNv4(4, groups=1, without_pointwise=True).double(), torch.randn(1, 4, 5, 6, dtype=torch.float64)
    expected, (scale, shift) = module(x), torch.randn(2, 4, dtype=torch.float64)
    module.fold_affine(scale, shift)
    torch.testing.assert_close(module(x), expected * scale[:, None, None] + shift[:, None, None])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 10}, r"groups=4 must divide c=10; use groups from \[1, 2, 5, 10\]"),
        ({"c": 16, "k": 4}, "k must be odd and positive, got 4; use 5"),
        ({"c": 16, "d": 0}, "must be at least 1, got 0"),
        ({"c": 16, "dw_k": 2}, "k must be odd and positive, got 2; use 3"),
        ({"c": 16, "k": 1, "remove_center": True}, "remove_center leaves no tap of k=1; use k=3"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        DCNv4(**arguments)
