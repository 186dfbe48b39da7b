"""Folding batch norm changes the time, not the function."""

import torch
from torch import Tensor, nn

from experiments.metrics.fold_batch_norm import fold_batch_norm
from segplug.models.create import create_model


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def with_random_statistics(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


class Shared(nn.Module):
    """The convolution's output is used beside the norm, so nothing may be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


def test_every_norm_of_an_smp_model_is_folded() -> None:
    model = with_random_statistics(create_model("unet", "tu-mobilenetv3_small_050"))
    image = torch.rand(1, 3, 64, 64)
    folded, count = fold_batch_norm(model, image)
    assert count == norms(model) > 0 and norms(folded) == 0
    torch.testing.assert_close(folded(image), model(image), rtol=1e-3, atol=1e-3)


def test_a_fold_that_would_change_the_output_is_not_made() -> None:
    model = with_random_statistics(Shared())
    folded, count = fold_batch_norm(model, torch.rand(1, 3, 8, 8))
    assert count == 0 and norms(folded) == 1


def test_folds_beside_one_that_is_not_made_are_counted() -> None:
    parts = [nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)]
    model = with_random_statistics(nn.Sequential(*parts, Shared()))
    image = torch.rand(1, 3, 8, 8)
    folded, count = fold_batch_norm(model, image)
    assert count == 2 and norms(folded) == 1
    torch.testing.assert_close(folded(image), model(image), rtol=1e-3, atol=1e-3)
