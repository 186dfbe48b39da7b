"""Folder layouts, partners, sizes, memory and seeds."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segplug.data.check import check
from segplug.data.dataset import CrackDataset, EpochSampler
from segplug.data.readers import open_data
from segplug.data.source import DataSource
from segplug.errors import SegplugError
from segplug.training.crops.crop import TrainCrop


def test_both_split_layouts_give_the_same_names(cracks: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for split in ("train", "test"):
        for kind in ("images", "masks"):
            shutil.copytree(cracks / split / kind, other / kind / split)
    assert set(open_data(other).splits) == {"train", "test"}
    assert [p.name for p in open_data(other).samples("train")] == [p.name for p in open_data(cracks).samples("train")]


def test_a_flat_folder_is_the_split_all(tmp_path: Path, add_crack: Callable[..., None]) -> None:
    add_crack(tmp_path, "a")
    assert [p.name for p in open_data(tmp_path).samples("all")] == ["a"]
    with pytest.raises(SegplugError, match="no split 'test'; found: all"):
        open_data(tmp_path).samples("test")


def test_folders_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match="no such data folder"):
        open_data(tmp_path / "nowhere")
    with pytest.raises(SegplugError, match="found none of images/"):
        open_data(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(SegplugError, match="holds no image"):
        open_data(tmp_path).samples("all")


@pytest.mark.parametrize(("kind", "missing"), [("images", "no image photo1-0"), ("masks", "no label; 1 of 8 images")])
def test_a_missing_partner_is_refused_with_the_file_name(cracks: Path, kind: str, missing: str) -> None:
    (cracks / "train" / kind / "photo1-0.png").unlink()
    with pytest.raises(SegplugError, match=rf"photo1-0\.png: {missing}"):
        open_data(cracks).samples("train")


def test_two_images_of_one_stem_are_refused(cracks: Path) -> None:
    photo = cracks / "train" / "images" / "photo1-0.png"
    shutil.copy(photo, photo.with_suffix(".jpg"))
    with pytest.raises(SegplugError, match="same name as"):
        open_data(cracks).samples("train")


def test_sizes_must_agree(tmp_path: Path, add_crack: Callable[..., None]) -> None:
    add_crack(tmp_path, "a", mask_size=(64, 32))
    with pytest.raises(SegplugError, match=r"a\.png: mask is 32x64 but a\.png is 64x64"):
        CrackDataset(open_data(tmp_path).samples("all"))


def test_lossy_masks_are_noted_once(tmp_path: Path, add_crack: Callable[..., None]) -> None:
    for name in "ab":
        add_crack(tmp_path, name, mask_suffix=".jpg")
    notes: list[str] = []
    CrackDataset(open_data(tmp_path).samples("all"), note=notes.append)
    assert notes == ["masks of 2 images: 0/255 with grey artefacts in 2 of 2 files, cut at 127"]


def test_items_are_the_same_from_memory_and_from_disk(cracks: Path) -> None:
    samples = open_data(cracks).samples("test")
    kept, read = CrackDataset(samples), CrackDataset(samples, cache_bytes=0)
    for (image, mask), (image_2, mask_2) in zip(kept, read, strict=True):
        assert image.shape[0] == 3 and mask.shape == (1, *image.shape[1:])
        assert set(mask.unique().tolist()) == {0, 1}
        assert image.equal(image_2) and mask.equal(mask_2)


def test_crops_depend_on_seed_epoch_and_index_alone(cracks: Path) -> None:
    samples = open_data(cracks).samples("train")
    one, two = (CrackDataset(samples, TrainCrop(32), seed=5) for _ in range(2))
    assert one[3, 1][0].equal(two[3, 1][0])
    _ = one[0, 0]
    assert one[3, 1][0].equal(two[3, 1][0])
    assert not one[3, 1][0].equal(one[4, 1][0])
    assert not one[3, 1][0].equal(CrackDataset(samples, TrainCrop(32), seed=6)[3, 1][0])


def test_images_smaller_than_the_crop_are_filled(tmp_path: Path, add_crack: Callable[..., None]) -> None:
    add_crack(tmp_path, "a", 0, 40, 100)
    image, mask = CrackDataset(open_data(tmp_path).samples("all"), TrainCrop(64))[0, 0]
    assert image.shape == (3, 64, 64) and mask.shape == (1, 64, 64)
    assert set(np.unique(mask)) <= {0, 1}


def test_the_sampler_visits_all_in_an_order_of_its_epoch() -> None:
    sampler = EpochSampler(10, seed=1)
    first = list(sampler)
    assert sorted(i for _, i in first) == list(range(10)) and {e for e, _ in first} == {0}
    sampler.set_epoch(1)
    assert [i for _, i in sampler] != [i for _, i in first]
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_transparent_pixels_have_no_label(tmp_path: Path, add_crack: Callable[..., None]) -> None:
    add_crack(tmp_path, "a")
    photo, mask = (tmp_path / kind / "a.png" for kind in ("images", "masks"))
    pixels = np.dstack([cv2.imread(str(photo)), np.full((64, 64), 255, np.uint8)])
    pixels[:, :40, 3] = 0
    cv2.imwrite(str(photo), pixels)
    truth = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED) // 255
    for cache in (0, 1 << 20):
        found = CrackDataset(open_data(tmp_path).samples("all"), cache_bytes=cache)[0][1][0].numpy()
        assert (found[:, :40] == 255).all() and np.array_equal(found[:, 40:], truth[:, 40:])
    scores = check(DataSource(str(tmp_path))).summary["splits"]["all"]
    assert scores["crack_max"] == truth[:, 40:].mean()


def test_several_pages_are_said(tmp_path: Path, add_crack: Callable[..., None]) -> None:
    add_crack(tmp_path, "a")
    page = Image.open(tmp_path / "images" / "a.png")
    page.save(tmp_path / "images" / "a.tif", save_all=True, append_images=[page, page])
    (tmp_path / "images" / "a.png").unlink()
    said: list[str] = []
    CrackDataset(open_data(tmp_path).samples("all"), note=said.append)
    assert said[-1] == f"of files with several pages the first is read: {tmp_path}/images/a.tif"
    assert [f.kind for f in check(DataSource(str(tmp_path))).findings] == ["several pages"]
