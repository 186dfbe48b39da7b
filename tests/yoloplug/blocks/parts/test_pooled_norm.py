"""PooledBatchNorm2d trains as nn.BatchNorm2d wherever that runs, and runs at batch 1 too."""

import torch
from torch import nn

from yoloplug.blocks.parts.norms.pooled_batch_norm_2d import PooledBatchNorm2d


def test_equals_stock_with_more_than_one_value() -> None:
    ours, stock = PooledBatchNorm2d(4), nn.BatchNorm2d(4)
    for shape in ((3, 4, 1, 1), (1, 4, 2, 1)):
        x = torch.randn(shape)
        assert torch.equal(ours(x), stock(x))
    ours.load_state_dict(stock.state_dict())
    for shape in ((3, 4, 1, 1), (1, 4, 2, 1)):
        x = torch.randn(shape)
        assert torch.equal(ours(x), stock(x))
    for key, value in stock.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)
    assert torch.equal(ours.eval()(x), stock.eval()(x))


def test_single_value_uses_running_statistics_and_leaves_them() -> None:
    bn = PooledBatchNorm2d(4).train()
    bn.set_statistics(torch.randn(4), torch.rand(4) + 0.5)
    before = {key: value.clone() for key, value in bn.state_dict().items()}
    x = torch.randn(1, 4, 1, 1, requires_grad=True)
    y = bn(x)
    y.square().sum().backward()
    assert x.grad is not None and x.grad.any() and bn.weight.grad is not None
    assert all(torch.equal(bn.state_dict()[key], value) for key, value in before.items())
    assert torch.equal(bn.eval()(x), y)
