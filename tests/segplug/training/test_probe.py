"""What a network or machine cannot do is said before the first epoch, in one line."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from segplug.errors import SegplugError
from segplug.models.create import MODELS, create_model
from segplug.training import probe
from segplug.training.config import TrainConfig
from segplug.training.module import CrackModule
from segplug.training.run import train

Tiny = Callable[..., TrainConfig]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": "deeplabv3plus", "encoder": "resnet18", "batch": 1},
            "cannot train on a single crop of 32 px",
        ),
        ({"model": "unet", "encoder": "tu-lcnet_050", "batch": 1}, "set batch to 2 or more"),
        (
            {"model": "unet", "encoder": "tu-swinv2_cr_tiny_224", "batch": 2, "crop": 64},
            "unet on tu-swinv2_cr_tiny_224 does not take crops of 64 px",
        ),
    ],
)
def test_sizes_that_a_network_refuses_are_named(tiny: Tiny, changes: dict[str, Any], message: str) -> None:
    config = tiny(**{"options": {}, "crop": 32, **changes})
    with pytest.raises(SegplugError, match=message):
        train(config)
    assert not Path(config.out).exists()


def test_an_encoder_of_one_size_is_refused_for_the_whole_photos(tiny: Tiny) -> None:
    config = tiny(model="unet", encoder="tu-swinv2_cr_tiny_224", options={}, batch=2, crop=224)
    with pytest.raises(SegplugError, match=r"takes images of 224 x 224 px only .*; choose another encoder") as caught:
        train(config)
    assert caught.value.key == ("encoder",)


def test_a_single_training_image_is_a_batch_of_one(tiny: Tiny) -> None:
    config = tiny(model="unet", options={}, batch=8, crop=32)
    with pytest.raises(SegplugError, match="of as many training images; there are 1"):
        probe.check_sizes(create_model("unet", config.encoder), config, images=1)


def test_the_trial_changes_neither_weights_nor_random_numbers(tiny: Tiny) -> None:
    config, model = tiny(crop=64), create_model("unet", "tu-lcnet_050")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    probe.check_sizes(model, config, 6)
    assert all(v.equal(before[k]) for k, v in model.state_dict().items()) and torch.get_rng_state().equal(state)


def test_a_small_shared_memory_is_named_with_the_remedy(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SHARED", Path("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=64e6))
    with pytest.raises(SegplugError, match=r"/ has 64 MB free, but 2 workers fill 84 MB.*; set workers to 0, or") as e:
        probe.check_shared_memory(tiny(workers=2, batch=64, crop=256))
    assert e.value.key == ("workers",)
    probe.check_shared_memory(tiny(workers=0, batch=64, crop=256))
    probe.check_shared_memory(tiny(workers=2, batch=8, crop=256))


@pytest.mark.slow
@pytest.mark.parametrize("crop", [32, 64, 96])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_trains_on_one_small_crop_or_says_why_not(name: str, crop: int, tiny: Tiny) -> None:
    config = tiny(model=name, encoder=None, options={}, crop=crop, batch=1)
    model = create_model(name)
    try:
        probe.check_sizes(model, config, images=6)
    except SegplugError as error:
        assert error.remedy and "\n" not in str(error)
        return
    images = torch.randint(0, 256, (1, 3, crop, crop), dtype=torch.uint8)
    masks = torch.randint(0, 2, (1, 1, crop, crop), dtype=torch.uint8)
    CrackModule(model.train(), config, 1).training_step((images, masks), 0).backward()
