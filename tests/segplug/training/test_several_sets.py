"""Several data sets at once, each with its own mask encoding, and photos shrunk at random before the crop."""

import json

import cv2
import numpy as np
import pytest

from segplug.cli import main
from segplug.data.dataset import CrackDataset
from segplug.data.mixed import MixedDataset
from segplug.data.readers import open_data
from segplug.errors import SegplugError
from segplug.training.config import TrainConfig
from segplug.training.crops.crop import TrainCrop


@pytest.fixture
def second(tmp_path, add_crack):
    """train (3) and val (1), masks of 0 and 1 instead of 0 and 255."""
    root = tmp_path / "second"
    for split, count in (("train", 3), ("val", 1)):
        for i in range(count):
            add_crack(root / split, f"{split}{i}", seed=40 + i)
            path = root / split / "masks" / f"{split}{i}.png"
            cv2.imwrite(str(path), cv2.imread(str(path), 0) // 255)
    return root


def test_each_part_keeps_its_encoding_and_its_place(cracks, second):
    parts = [CrackDataset(open_data(root).samples("train")) for root in (cracks, second)]
    mixed = MixedDataset(parts)
    assert len(mixed) == 11 and len(mixed.samples) == 11
    for i in range(11):
        image, mask = mixed.arrays(i)
        part, within = (parts[0], i) if i < 8 else (parts[1], i - 8)
        assert (image == part.arrays(within)[0]).all()
        assert set(np.unique(mask)) == {0, 1}
        assert mixed.samples[i] is part.samples[within]
        assert (mixed[(2, i)][1].numpy()[0] == mask).all()
    with pytest.raises(IndexError):
        mixed.arrays(11)
    with pytest.raises(IndexError):
        mixed[-1]


def test_the_command_takes_data_twice_and_repeats_it_from_its_config(cracks, second, tmp_path, capsys):
    common = ["--encoder", "tu-lcnet_050", "--epochs", "1", "--batch", "2", "--crop", "32", "--smallest-scale", "0.5"]
    run = tmp_path / "run"
    assert main(["train", "--data", str(cracks), "--data", str(second), *common, "--out", str(run)]) == 0
    err = capsys.readouterr().err
    assert "10 training and 2 validation images" in err  # 8 + 3 less a tenth of the first; its own val of the second
    settings = json.loads((run / "config.json").read_text())
    assert settings["data"] == str(cracks) and settings["more_data"] == [str(second)]
    again = tmp_path / "again"
    assert main(["train", "--config", str(run / "config.json"), "--out", str(again)]) == 0
    assert (run / "split.csv").read_text() == (again / "split.csv").read_text()


def test_an_old_config_without_the_new_settings_goes_on(tmp_path):
    config = TrainConfig(data="x")
    saved = config.plain()
    for name in ("more_data", "smallest_scale"):
        del saved[name]
    config.check_resume(saved, tmp_path)
    with pytest.raises(SegplugError, match=r"smallest_scale 1\.0 -> 0\.5"):
        TrainConfig(data="x", smallest_scale=0.5).check_resume(saved, tmp_path)


def test_shrinking_keeps_hair_cracks_unlabelled_pixels_and_the_seed():
    image = np.full((128, 128, 3), 200, np.uint8)
    mask = np.zeros((128, 128), np.uint8)
    image[:, 63:65], mask[:, 63:65] = 20, 1
    mask[:16] = 255
    crop = TrainCrop(64, 1.0, [], smallest_scale=0.25)
    shares, dark = [], []
    for seed in range(12):
        a, b = crop(image, mask, seed), crop(image, mask, seed)
        assert (a[0] == b[0]).all() and (a[1] == b[1]).all()
        assert a[0].shape == (64, 64, 3) and set(np.unique(a[1])) <= {0, 1, 255}
        shares.append((a[1] == 1).mean())
        dark.append((a[0].mean(axis=2) < 190).mean())
    assert max(dark) > 0.02 and len({round(s, 3) for s in shares}) > 4
    whole = TrainCrop(64, 1.0, [])(image, mask, 0)
    assert (whole[0] == TrainCrop(64, 1.0, [], 1.0)(image, mask, 0)[0]).all()
    with pytest.raises(SegplugError, match=r"smallest_scale must be at least 0\.05, got 0"):
        TrainConfig(data="x", smallest_scale=0)
