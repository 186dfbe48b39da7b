"""Golden tensors: what the papers' own code computed in float64 (tests/golden/*.npz)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import yoloplug.blocks  # noqa: F401  (fills the registry)
from yoloplug.registry import BLOCKS

GOLDEN = Path(__file__).parents[2] / "golden"
State = dict[str, Tensor]
Note = Callable[[nn.Module, str, float], None]


class Golden:
    """One recorded run. Keys: sd/<state>, inputs, y, ct (cotangent), g<input>, gn/<parameter>, *_train.

    A module with two outputs has y0, y1, ct0, ct1. note(module, name, error) is told the largest error of each check.
    """

    def __init__(self, name: str, note: Note) -> None:
        self.name, self.note = name, note
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as stored:
            self.arrays = {key: stored[key] for key in stored.files}

    def __getitem__(self, key: str) -> Tensor:
        value = torch.from_numpy(self.arrays[key])
        return value.double() if value.is_floating_point() else value

    def state(self) -> State:
        return self._below("sd/")

    def check(self, module: nn.Module, *inputs: str, channels_last: bool = False) -> None:
        """Load the recorded state into `module`; its output and gradients in eval and train equal the recorded ones.

        The state goes through the class's `convert_reference`, if it has one. Gradients and running statistics are
        compared under the names that it gives them; of tensors that it merges or cuts, only the input's gradient tells.
        channels_last: the record is (N, H, W, C), the module works on (N, C, H, W).
        """
        module.double()
        convert = getattr(type(module), "convert_reference", dict)
        given_state = self.state()
        state: State = convert(dict(given_state))
        names = {old: new for old, value in given_state.items() if (new := _renamed(value, state))}
        errors = [0.0]
        for suffix, norms in (("", "gn/"), ("_train", "gn_train/")):
            outputs = [key for key in (f"y{suffix}", f"y0{suffix}", f"y1{suffix}") if key in self.arrays]
            if not outputs:
                continue
            module.load_state_dict(state)
            module.train(suffix == "_train").zero_grad()
            given = [self[key].requires_grad_() for key in inputs or ("x",)]
            y = module(*(to_nchw(x) if channels_last else x for x in given))
            loss = torch.zeros((), dtype=torch.float64)
            for key, value in zip(outputs, _tensors(y), strict=True):
                value = value.permute(0, 2, 3, 1) if channels_last else value
                errors.append(assert_equal(value, self[key]))
                loss = loss + (value * self["ct" + key.removesuffix("_train")[1:]]).sum()
            loss.backward()
            for key, x in zip(inputs or ("x",), given, strict=True):
                if f"g{key}{suffix}" in self.arrays:
                    errors.append(assert_equal(x.grad, self[f"g{key}{suffix}"]))
            parameters = dict(module.named_parameters())
            for old, norm in self._below(norms).items():
                if convert is dict or old in names:
                    value = torch.stack([parameters[name].grad.norm() for name in names[old]]).norm()
                    torch.testing.assert_close(value, norm, rtol=1e-8, atol=1e-10)
                    errors.append(float((value - norm).abs() / norm.abs().clamp_min(1e-2)))
        after = self._below("post/")
        for old, value in after.items():
            if convert is dict or old in names:
                (name,) = names[old]
                torch.testing.assert_close(module.state_dict()[name], value, rtol=1e-9, atol=1e-12)
        self.note(module, self.name, max(errors))

    def _below(self, prefix: str) -> State:
        return {key.removeprefix(prefix): self[key] for key in self.arrays if key.startswith(prefix)}


def _renamed(value: Tensor, state: State) -> list[str]:
    """The names under which a converted state holds the values of a tensor, all of them and untouched; else none."""
    where = value.untyped_storage().data_ptr()
    names = [name for name, other in state.items() if other.untyped_storage().data_ptr() == where]
    return names if sum(state[name].numel() for name in names) == value.numel() else []


def _tensors(y: Tensor | Iterable[Tensor | None]) -> list[Tensor]:
    return [y] if isinstance(y, Tensor) else [value for value in y if value is not None]


def to_nchw(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def assert_equal(value: Tensor | None, recorded: Tensor, tolerance: float = 1e-9) -> float:
    """Largest difference over the recorded values' largest magnitude; at most `tolerance`, and returned."""
    assert value is not None and value.shape == recorded.shape
    error = float((value - recorded).detach().abs().max() / recorded.abs().max().clamp_min(1e-300))
    assert error <= tolerance, f"differs by {error:.3g} of the largest value"
    return error


@pytest.fixture
def golden(request: pytest.FixtureRequest, measured: Callable[..., None]) -> Callable[[str], Golden]:
    """golden("gnconv_dw7_o3").check(module): errors count for the module's block, or for those of its file's name."""

    def note(module: nn.Module, name: str, error: float) -> None:
        exact = [block for block, row in BLOCKS.items() if row.cls is type(module)]
        stem = request.path.stem.removeprefix("test_")
        near = [b for b, row in BLOCKS.items() if Path(str(sys.modules[row.cls.__module__].__file__)).stem == stem]
        for block in exact or near:
            measured("parity", block, name, error)

    return lambda name: Golden(name, note)
