"""No start is dead: after 20 steps of training everything that started idle has moved, mechanism by mechanism."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from ultralytics.nn.modules import C2f, Conv
from ultralytics.utils.torch_utils import initialize_weights

from yoloplug import BLOCKS, hosts
from yoloplug.blocks.parts.experts.expert_conv import Experts
from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d
from yoloplug.preserve import EXACT, Beside, kernels

STEPS = 20


def pair(name: str, **options: Any) -> nn.Module:
    """A C2f_X, or a row where the block is nothing else, that starts as a trained-looking stock one; 32 channels."""
    options = {"preserve": True, **options}
    if name == "TransposedConv":
        source, row = nn.Upsample(scale_factor=2.0), hosts.host(name)(32, 32, 2, 2, options)
    elif BLOCKS[name].place == "row":
        source, row = Conv(32, 32, 3, 2), hosts.host(name)(32, 32, 3, 2, options)
    else:
        source, row = C2f(32, 32, 1, True), hosts.host(f"C2f_{name}")(32, 32, 1, True, options)
        row.load_state_dict(source.state_dict(), strict=False)
    for norm in source.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.running_var, 0.05, 0.6)
    initialize_weights(row)
    for path, module in row.named_modules():
        if getattr(module, "preserves", False):
            module.start_as(source.get_submodule(path))
    return row


def train(row: nn.Module, steps: int = STEPS) -> dict[str, Tensor]:
    """Fit random targets; returns the parameters of before."""
    before = {name: parameter.detach().clone() for name, parameter in row.named_parameters()}
    optimizer = torch.optim.AdamW(row.train().parameters(), 1e-3, eps=1e-30, weight_decay=0.0)
    random = torch.Generator().manual_seed(0)
    x = torch.rand(4, 32, 16, 16, generator=random)
    with torch.no_grad():
        shape = copy.deepcopy(row)(x).shape
    target = torch.rand(shape, generator=random)
    for _ in range(steps):
        optimizer.zero_grad()
        (row(x) - target).square().mean().backward()
        optimizer.step()
    return before


def of_type(model: nn.Module, cls: type) -> list[Any]:
    found = [module for module in model.modules() if isinstance(module, cls)]
    assert found
    return found


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_every_weight_of_a_block_moves(name: str) -> None:
    model = pair(name)
    before = train(model)
    frozen = {n for n, p in model.named_parameters() if p.requires_grad and torch.equal(p, before[n])}
    assert not frozen


def test_gamma_moves_at_once_and_the_block_behind_it_from_the_second_step_on() -> None:
    model = pair("gnConv")
    start = train(model, 1)
    rows = [(name, module) for name, module in model.named_modules() if isinstance(module, Beside)]
    assert rows and all((row.gamma.weight != 0).all() for _, row in rows)
    first = dict(model.named_parameters())
    for name, row in rows:
        for key, _ in row.block.named_parameters(prefix=f"{name}.block"):
            assert torch.equal(first[key], start[key]), "its gradient is gamma times something"
    before = train(model, STEPS - 1)
    moved = dict(model.named_parameters())
    assert not any(torch.equal(moved[key], before[key]) for key in moved if ".block.block." in key)


@pytest.mark.parametrize("name", ["CondConv", "DynamicConv", "ODConv"])
def test_experts_and_routing_rows_part(name: str) -> None:
    model = pair(name)
    before = [torch.stack([k.detach().clone() for k in block.kernels]) for block in of_type(model, Experts)]
    train(model)
    for block, first in zip(of_type(model, Experts), before, strict=True):
        steps = torch.stack([k.detach() for k in block.kernels]) - first
        assert (steps - steps.mean(0)).abs().max() > 1e-5, "they only moved together"
        router = block.routing_fn if name == "CondConv" else block.attention
        rows = (router if name == "CondConv" else getattr(router, "fc2", None) or router.kernel_fc).weight.detach()
        assert (rows - rows.mean(0)).abs().max() > 1e-4


def test_equal_experts_would_stay_one_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why there is noise: without it experts and routing rows have equal gradients for ever."""
    monkeypatch.setattr(kernels, "NOISE", 0.0)
    model = pair("CondConv")
    train(model)
    for block in of_type(model, Experts):
        bank = torch.stack([k.detach() for k in block.kernels])
        assert (bank - bank.mean(0)).abs().max() < 1e-6
        rows = block.routing_fn.weight.detach()
        assert (rows - rows.mean(0)).abs().max() < 1e-6 < rows.abs().max()


@pytest.mark.parametrize(("name", "maps"), [("DCNv1", 18), ("DCNv2", 27)])
def test_offsets_and_masks_move(name: str, maps: int) -> None:
    model = pair(name)
    train(model)
    for block in of_type(model, BLOCKS[name].cls):
        moved = block.conv_offset.weight.detach().abs().amax((1, 2, 3))
        assert moved.shape == (maps,) and (moved > 1e-4).all()


def test_gates_move() -> None:
    gated, squeezed = pair("GatedConv"), pair("RepVGGSEBlock")
    for model in (gated, squeezed):
        train(model)
    for block in of_type(gated, BLOCKS["GatedConv"].cls):
        assert isinstance(block.act, nn.Identity), "the form act(norm(f gate(g)))"
        assert (block.conv.weight.detach()[block.conv.out_channels // 2 :].abs().amax((1, 2, 3)) > 1e-4).all()
    for block in of_type(squeezed, BLOCKS["RepVGGSEBlock"].cls):
        assert (block.se.up.weight.detach().abs().amax((1, 2, 3)) > 1e-4).all()


@pytest.mark.parametrize("name", ["ACBlock", "DBB", "RepVGGBlock"])
def test_branches_gain_and_their_norms_agree_in_training_and_inference(name: str) -> None:
    """The side branches start with gain 0; what inference sees of them is what training did, from the start."""
    model = pair(name)
    train(model)
    (block,) = of_type(model, BLOCKS[name].cls)
    main = block.get_submodule(EXACT[name].norm)
    norms = [norm for norm in of_type(model, CorrectedBatchNorm2d) if norm is not main]
    for norm in norms:
        assert (norm.weight.detach() != 0).all()
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    hooks = [
        norm.register_forward_pre_hook(
            lambda n, args: seen.update({n: (args[0].detach().var((0, 2, 3)), n.statistics()[1])})
        )
        for norm in norms
    ]
    with torch.no_grad():
        model(torch.rand(4, 32, 16, 16, generator=torch.Generator().manual_seed(0)))
    for hook in hooks:
        hook.remove()
    for true, stored in seen.values():
        assert float(((stored + 1e-3) / (true + 1e-3)).log().abs().median().exp()) < 1.5
