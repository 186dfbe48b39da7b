"""Blocks in their YOLO seats: shapes, options, fusing, pickling, messages."""

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import C2f, Conv

from yoloplug import BLOCKS, hosts


@pytest.mark.parametrize("name", sorted(BLOCKS))
@pytest.mark.parametrize(("c1", "c2", "s"), [(16, 32, 2), (32, 32, 1), (32, 64, 1)])
def test_conv_like_row_sets_width_and_stride(name: str, c1: int, c2: int, s: int) -> None:
    row = hosts.host(name)(c1, c2, 3, s).eval()
    upsamples = isinstance(row.block, nn.ConvTranspose2d)
    size = (33 * s, 47 * s) if upsamples else (-(-33 // s), -(-47 // s))
    assert row(torch.rand(1, c1, 33, 47)).shape == (1, c2, *size)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_every_attribute_of_a_row_can_be_asked_for(name: str) -> None:
    """As torch.jit.trace does of every name in dir(): a property that raises KeyError stopped every export."""
    row = hosts.host(name)(16, 16, 3, 1)
    assert all(hasattr(row, attribute) or attribute == "__abstractmethods__" for attribute in dir(type(row)))


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_fuse_keeps_the_output_and_removes_batch_norm(name: str, randomise_norms: Callable[[nn.Module], None]) -> None:
    row = hosts.host(name)(16, 32, 3, 2).double().eval()
    randomise_norms(row)
    x = torch.rand(2, 16, 17, 23, dtype=torch.double)
    before = row(x)
    row.fuse()
    row.fuse()
    assert not isinstance(row.bn, nn.BatchNorm2d)
    torch.testing.assert_close(row(x), before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in sorted(BLOCKS) if BLOCKS[name].place != "row"])
@pytest.mark.parametrize("prefix", ["C2f", "C3", "C3k2"])
def test_hosts_survive_pickle_and_deepcopy_and_use_the_block(name: str, prefix: str) -> None:
    module = hosts.host(f"{prefix}_{name}")(32, 64, 2).eval()
    assert any(isinstance(m, BLOCKS[name].cls) for m in module.modules())
    x = torch.rand(1, 32, 9, 13)
    for copied in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert torch.equal(copied(x), module(x))


@pytest.mark.parametrize("name", [name for name in sorted(BLOCKS) if BLOCKS[name].place == "row"])
def test_a_block_that_is_only_a_row_is_refused_in_c2f(name: str) -> None:
    with pytest.raises(KeyError, match=f"C2f_{name}: {name} only stands as a row of its own; use {name}"):
        hosts.host(f"C2f_{name}")


def test_c2f_host_is_a_c2f_with_the_stock_forward() -> None:
    """Exporters bind `forward_split` on every C2f; a forward of our own would be lost there."""
    module = hosts.host("C2f_gnConv")(32, 32, 1, True, {"order": 3}).eval()
    assert isinstance(module, C2f) and type(module).forward is C2f.forward
    x = torch.rand(1, 32, 8, 8)
    assert torch.equal(module.forward_split(x), module(x))


def test_options_reach_the_block_by_name_and_by_position() -> None:
    by_name = hosts.host("gnConv")(32, 32, 3, 1, {"order": 3})
    by_position = hosts.host("gnConv")(32, 32, 3, 1, 3)
    in_c2f = hosts.host("C2f_gnConv")(64, 64, 1, True, 1, 0.5, {"order": 3})
    assert len(by_name.block.pws) == len(by_position.block.pws) == len(in_c2f.m[0].cv2.block.pws) == 2


def test_width_is_set_by_a_stock_conv_only_where_it_changes() -> None:
    assert isinstance(hosts.host("gnConv")(32, 64).pre, Conv)
    assert isinstance(hosts.host("gnConv")(32, 32, 3, 2).pre, Conv)
    assert isinstance(hosts.host("gnConv")(32, 32).pre, nn.Identity)
    assert isinstance(hosts.host("DCNv2")(32, 64, 3, 2).pre, nn.Identity)


def test_the_yaml_activation_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conv, "default_act", nn.ReLU())
    assert isinstance(hosts.host("gnConv")(32, 32).act, nn.ReLU)


def test_wrong_option_names_the_signature() -> None:
    with pytest.raises(TypeError, match=r"gnConv\(c.*order.*unexpected keyword argument 'ordre'; did you mean order\?"):
        hosts.host("gnConv")(32, 32, 3, 1, {"ordre": 3})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gnConv", [{"order": "3"}], "gnConv: order must be a whole number, got '3'"),
        ("gnConv", [{"order": True}], "gnConv: order must be a whole number, got True"),
        ("gnConv", [{"s": float("nan")}], "gnConv: s must be a finite number, got nan"),
        (
            "gnConv",
            [{"s": "1e-3"}],
            "gnConv: s must be a finite number, got '1e-3'; YAML reads it as text, write 1.0e-3",
        ),
        ("gnConv", [{"order": 3}, 5], "gnConv: order must be a whole number, got .*; options by name come last"),
        ("DCNv3", [{"groups": 3.5}], "DCNv3: groups must be a whole number, got 3.5"),
        ("DBB", [{"internal": "all"}], "DBB: internal must be a whole number or None, got 'all'"),
        ("HorBlock", [{"layer_scale": 0, "drop_path": "no"}], "HorBlock: drop_path must be a finite number, got 'no'"),
    ],
)
def test_a_value_of_the_wrong_type_says_what_is_wanted(name: str, options: list, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        hosts.host(name)(32, 32, 3, 1, *options)


def test_constraint_error_states_values_and_remedy() -> None:
    with pytest.raises(ValueError, match=r"gnConv: c=24 is not divisible by 2\*\*\(order-1\)=16; use order <= 4"):
        hosts.host("C2f_gnConv")(48, 48, 1, True, {"order": 5})


def test_groups_of_the_bottleneck_are_refused_not_dropped() -> None:
    with pytest.raises(ValueError, match="g=2 does not reach gnConv in a bottleneck"):
        hosts.host("C2f_gnConv")(64, 64, 1, True, 2)


@pytest.mark.parametrize(
    ("name", "answer"),
    [("C2f_gnKonv", r"did you mean C2f_gnConv.*\?"), ("C2f_Q", "all of ours: yoloplug blocks")],
)
def test_unknown_name_is_answered_with_the_nearest(name: str, answer: str) -> None:
    with pytest.raises(KeyError, match=f"unknown name '{name}'; {answer}"):
        hosts.host(name)


def test_checkpoint_with_an_unregistered_block_says_what_to_import() -> None:
    data = (
        pickle.dumps(hosts.host("gnConv")(32, 32))
        .replace(b"gnConv\n", b"noConv\n")
        .replace(b"\x06gnConv", b"\x06noConv")
    )
    with pytest.raises(ImportError, match="import the module that registers it"):
        pickle.Unpickler(io.BytesIO(data)).load()


@pytest.mark.parametrize("name", sorted(BLOCKS))
@pytest.mark.parametrize("width", [16, 128])
def test_a_fresh_layer_varies_like_a_stock_conv(name: str, width: int) -> None:
    """Also after Ultralytics' own set-up of the norms, whose eps of 1e-3 would silence blocks with small outputs."""
    from ultralytics.utils.torch_utils import initialize_weights

    row, conv = hosts.host(name)(width, width).train(), Conv(width, width, 3).train()
    initialize_weights(row)
    x = torch.randn(4, width, 20, 24)
    assert 0.1 <= row(x).var() / conv(x).var() <= 10


def test_refused_width_names_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"nearest valid widths with these options: 32 and 48"):
        hosts.host("gnConv")(40, 40, 3, 1, {"order": 5})
