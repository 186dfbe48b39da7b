"""Augmentations from YAML; crops that hold crack; masks that follow their photo."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segplug.errors import SegplugError
from segplug.training.crops.augmentation import DEFAULT, build_transforms, read_augment
from segplug.training.crops.crop import TrainCrop

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture
def corner_crack() -> Arrays:
    """A 200x300 photo that is black on a small crack and bright elsewhere."""
    mask = np.zeros((200, 300), dtype=np.uint8)
    mask[150:153, 250:290] = 1
    return np.repeat(255 * (1 - mask)[..., None], 3, axis=2), mask


@pytest.mark.parametrize(("share", "low", "high"), [(0, 0, 0.2), (0.5, 0.45, 0.7), (1, 1, 1)])
def test_a_share_of_the_crops_holds_crack(corner_crack: Arrays, share: float, low: float, high: float) -> None:
    crop = TrainCrop(64, share, [])
    held = [crop(*corner_crack, seed)[1].any() for seed in range(200)]
    assert low <= np.mean(held) <= high


def test_the_seed_alone_decides(corner_crack: Arrays) -> None:
    crop = TrainCrop(64, 0.7)
    first = crop(*corner_crack, 5)
    crop(*corner_crack, 6)
    for again in (crop(*corner_crack, 5), TrainCrop(64, 0.7)(*corner_crack, 5)):
        assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((crop(*corner_crack, s)[0] != first[0]).any() for s in (6, 7))


def test_an_image_without_crack_and_one_smaller_than_the_crop() -> None:
    photo, mask = np.zeros((40, 90, 3), dtype=np.uint8), np.zeros((40, 90), dtype=np.uint8)
    image, label = TrainCrop(64, 1.0)(photo, mask, 0)
    assert image.shape == (64, 64, 3) and label.shape == (64, 64) and not label.any()


def test_crops_look_for_crack_not_for_pixels_without_label() -> None:
    photo, mask = np.zeros((100, 200, 3), dtype=np.uint8), np.zeros((100, 200), dtype=np.uint8)
    mask[:, :60], mask[50, 180] = 255, 1
    assert all((TrainCrop(32, 1.0, ["D4"])(photo, mask, seed)[1] == 1).any() for seed in range(20))


def test_yaml_is_read_and_the_mask_follows(tmp_path: Path, corner_crack: Arrays) -> None:
    file = tmp_path / "augment.yaml"
    file.write_text(
        "- Transpose: {p: 1}\n- Affine: {shear: [-10, 10], rotate: 30, p: 1}\n"
        "- OneOf: {p: 1, transforms: [HorizontalFlip, {VerticalFlip: {p: 0.5}}]}\n"
    )
    crop = TrainCrop(96, 1.0, read_augment(file))
    for seed in range(5):
        image, mask = crop(*corner_crack, seed)
        dark = (image[..., 0] < 128) & (np.indices(mask.shape).min(axis=0) >= 0)
        assert mask.max() <= 1 and (dark[mask > 0]).mean() > 0.8


def test_an_empty_list_leaves_the_crop_as_it_is(corner_crack: Arrays) -> None:
    image, mask = TrainCrop(32, 1.0, [])(*corner_crack, 1)
    assert set(np.unique(image)) == {0, 255} and (image[..., 0] == 255 * (1 - mask)).all()
    assert len(build_transforms(DEFAULT, 64)) == len(DEFAULT)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["HorizontalFlop"], "unknown transform 'HorizontalFlop'; did you mean HorizontalFlip"),
        (["BasicTransform"], "unknown transform 'BasicTransform'"),
        ([{"HorizontalFlip": {"q": 1}}], r"HorizontalFlip: Argument\(s\) 'q' are not valid"),
        ([{"HorizontalFlip": {"p": 3}}], "HorizontalFlip: .*less than or equal to 1"),
        ([{"HorizontalFlip": 0.5}], "HorizontalFlip: its arguments must stand by name"),
        ([{"HorizontalFlip": {}, "D4": {}}], "a transform is a name, or a name with its arguments"),
        ([3], "a transform is a name"),
        ([{"OneOf": {"p": 1}}], "OneOf: needs `transforms`"),
        ([{"OneOf": {"transforms": ["Nope"]}}], "unknown transform 'Nope'"),
        ([{"Resize": {"height": 10, "width": 10}}], "changes the crop's size"),
        ([{"RandomCrop": {"height": 100, "width": 100}}], "fails on a 64 x 64 crop"),
        (["Normalize"], "does not keep 8-bit photos"),
        (["FDA"], "fails on a 64 x 64 crop: FDA requires"),
    ],
)
def test_a_wrong_item_is_one_message(tmp_path: Path, items: list[Any], message: str) -> None:
    with pytest.raises(SegplugError, match=message) as error:
        build_transforms(items, 64)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "augment.yaml"
    file.write_text("HorizontalFlip: {p: 1}")
    with pytest.raises(SegplugError, match=r"augment\.yaml: must be a list of transforms"):
        read_augment(file)
    file.write_text("- HorizontalFlop")
    with pytest.raises(SegplugError, match=r"augment\.yaml: unknown transform"):
        read_augment(file)
