"""Golden tensors: what the papers' own code computed in float64 (tests/golden/*.npz)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[2] / "golden"


class Golden:
    """One recorded run. Keys: sd/<state>, inputs, y, ct (cotangent), g<input>, gn/<parameter>, *_train."""

    def __init__(self, name: str) -> None:
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as stored:
            self.arrays = {key: stored[key] for key in stored.files}

    def __getitem__(self, key: str) -> Tensor:
        value = torch.from_numpy(self.arrays[key])
        return value.double() if value.is_floating_point() else value

    def state(self) -> dict[str, Tensor]:
        return {key[3:]: self[key] for key in self.arrays if key.startswith("sd/")}

    def check(self, module: nn.Module, *inputs: str, channels_last: bool = False) -> None:
        """Load the recorded state into `module`; its output and gradients in eval and train equal the recorded ones.

        channels_last: the record is (N, H, W, C), the module works on (N, C, H, W).
        """
        module.double()
        for suffix, norms in (("", "gn/"), ("_train", "gn_train/")):
            if f"y{suffix}" not in self.arrays:
                continue
            module.load_state_dict(self.state())
            module.train(suffix == "_train").zero_grad()
            given = [self[key].requires_grad_() for key in inputs or ("x",)]
            y = module(*(to_nchw(x) if channels_last else x for x in given))
            y = y.permute(0, 2, 3, 1) if channels_last else y
            assert_equal(y, self[f"y{suffix}"])
            (y * self["ct"]).sum().backward()
            for key, x in zip(inputs or ("x",), given, strict=True):
                if f"g{key}{suffix}" in self.arrays:
                    assert_equal(x.grad, self[f"g{key}{suffix}"])
            compared = 0
            for name, parameter in module.named_parameters():
                if norms + name in self.arrays:
                    torch.testing.assert_close(parameter.grad.norm(), self[norms + name], rtol=1e-8, atol=1e-10)
                    compared += 1
            assert compared == sum(key.startswith(norms) for key in self.arrays)
        for key in self.arrays:
            if key.startswith("post/"):
                torch.testing.assert_close(module.state_dict()[key[5:]], self[key], rtol=1e-9, atol=1e-12)


def to_nchw(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def assert_equal(value: Tensor | None, recorded: Tensor, tolerance: float = 1e-9) -> None:
    """Largest difference at most `tolerance` of the recorded values' largest magnitude."""
    assert value is not None and value.shape == recorded.shape
    assert (value - recorded).abs().max() <= tolerance * recorded.abs().max()


@pytest.fixture
def golden() -> Callable[[str], Golden]:
    return Golden
