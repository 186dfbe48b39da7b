"""Drawn photographs: the same for a seed, cracks darker than what surrounds them, masks of all widths, some without."""

import hashlib

import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize

from segplug.cli import main
from segplug.data.drawn import draw_folder, draw_scene
from segplug.data.drawn.crack_lines import CrackLine, crack_lines
from segplug.data.drawn.crack_relief import LABEL_LEAST_PX, coverage_of
from segplug.data.drawn.distractors import DISTRACTORS
from segplug.data.drawn.surface import surface
from segplug.data.readers import open_data
from segplug.errors import SegplugError


def test_the_seed_decides_every_pixel():
    first, again, other = draw_scene(3, 96), draw_scene(3, 96), draw_scene(4, 96)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()
    assert first[0].shape == (96, 96, 3) and first[0].dtype == np.uint8
    assert set(np.unique(first[1])) <= {0, 255}


def test_cracks_are_darker_than_their_surroundings_thin_and_wide_and_some_scenes_have_none():
    darker, widths, free = [], [], 0
    for seed in range(60):
        photo, mask = draw_scene(seed, 128)
        inside = mask > 0
        if inside.sum() < 20:
            free += 1
            continue
        ring = cv2.dilate(mask, np.ones((9, 9), np.uint8)) > 0
        core = cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0
        core = core if core.any() else inside
        darker.append(photo[ring & ~inside].mean() - photo[core].mean())
        widths.append(2 * cv2.distanceTransform(mask, cv2.DIST_L2, 5)[skeletonize(inside)].mean())
    assert 4 <= free <= 25  # 18 % by design, and cracks that end before they reach the scene
    assert np.mean(np.array(darker) > 3) > 0.9
    assert min(widths) < 4 < 9 < max(widths)


def test_coverage_is_the_crack_s_area_and_the_label_has_a_least_width():
    """A straight line of width 7 over 80 px, and a hair of width 1.6."""
    points = np.stack([np.linspace(20, 100, 161), np.full(161, 60.3)], axis=1).astype(np.float32)
    wide = coverage_of([CrackLine(points, np.full(161, 3.0, np.float32))], 128)
    assert wide.sum() == pytest.approx(80 * 7 + np.pi * 3.5**2, rel=0.03)
    hair = coverage_of([CrackLine(points, np.full(161, 0.3, np.float32))], 128, LABEL_LEAST_PX)
    assert hair[:, 40:80].sum(axis=0).mean() == pytest.approx(LABEL_LEAST_PX, abs=0.35)
    closed = coverage_of([CrackLine(points, np.zeros(161, np.float32))], 128, LABEL_LEAST_PX)
    assert closed.max() == 0


def test_branches_begin_on_a_line_and_are_narrower():
    rng = np.random.default_rng(5)
    branching = next(lines for lines in (crack_lines(rng, 256, 6.0) for _ in range(40)) if len(lines) > 3)
    main_line, *branches = branching
    for branch in branches:
        gap = min(np.hypot(*(line.points - branch.points[0]).T).min() for line in branching if line is not branch)
        assert gap < 3
    assert np.mean([b.radius.mean() for b in branches]) < main_line.radius.mean()


@pytest.mark.parametrize("kind", sorted(DISTRACTORS))
def test_each_distractor_changes_the_photo_and_stays_finite(kind):
    rng = np.random.default_rng(1)
    photo = surface(rng, 96)
    changed = [DISTRACTORS[kind](rng, photo) for _ in range(6)]
    assert all(c.shape == photo.shape and np.isfinite(c).all() for c in changed)
    assert max(np.abs(c - photo).max() for c in changed) > 0.1


def test_the_folder_is_training_data_and_grows_without_changing(tmp_path, capsys):
    assert main(["draw", str(tmp_path / "d"), "--count", "2", "--val", "1", "--size", "64", "--seed", "7"]) == 0
    assert "2 scenes for training and 1 for validation" in capsys.readouterr().out
    data = open_data(tmp_path / "d")
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 2, "val": 1}

    def digests():
        return {p.name: hashlib.sha256(p.read_bytes()).digest() for p in (tmp_path / "d/train/images").iterdir()}

    before = digests()
    draw_folder(tmp_path / "d", 3, 7, 64, 1)
    after = digests()
    assert len(after) == 3 and before.items() <= after.items()


@pytest.mark.parametrize(("arguments", "message"), [
    ({"count": 0}, "count must be at least 1"),
    ({"count": 1, "size": 8}, "size must lie between 64 and 4096 px, got 8"),
    ({"count": 1, "seed": 1000}, "seed must lie between 0 and 999"),
    ({"count": 1, "val": -1}, "val 0 or more"),
])  # fmt: skip
def test_numbers_out_of_range_are_refused(tmp_path, arguments, message):
    with pytest.raises(SegplugError, match=message):
        draw_folder(tmp_path / "d", **arguments)
    assert not (tmp_path / "d").exists()
