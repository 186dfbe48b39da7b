"""A folder of predictions by name: every encoding that is read, every one that is refused, with file and remedy."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from segplug.data.sample import Sample
from segplug.errors import SegplugError
from segplug.evaluation.saved_predictions import PredictionFolder
from segplug.inference.predictor import log_odds

SAMPLES = [Sample(name, Path(f"{name}.jpg"), Path(f"{name}.png")) for name in ("a", "b")]
SHAPES = [(2, 3), (2, 3)]
CRACK = np.array([[0, 1, 1], [0, 0, 0]])
NOTHING = np.zeros((2, 3), dtype=np.uint8)
Save = Callable[..., PredictionFolder]


@pytest.fixture
def saved(tmp_path: Path) -> Save:
    """saved(a=…, b=…, suffix=".png") writes the files and reads the folder."""

    def save(suffix: str = ".png", **values: NDArray[np.generic]) -> PredictionFolder:
        for name, value in values.items():
            if suffix == ".npy":
                np.save(tmp_path / f"{name}.npy", value)
            else:
                assert cv2.imwrite(str(tmp_path / f"{name}{suffix}"), value)
        return PredictionFolder(tmp_path, SAMPLES, SHAPES)

    return save


@pytest.mark.parametrize(
    ("values", "suffix"),
    [
        ((CRACK * 255).astype(np.uint8), ".png"),
        (CRACK.astype(np.uint8), ".png"),
        ((CRACK * 65535).astype(np.uint16), ".png"),
        ((CRACK * 255).astype(np.uint8)[..., None].repeat(3, axis=2), ".png"),
        (CRACK.astype(bool), ".npy"),
        (CRACK.astype(np.float64), ".npy"),
        ((CRACK * 255).astype(np.uint8), ".npy"),
    ],
)
def test_masks_of_every_encoding(saved: Save, values: NDArray[np.generic], suffix: str) -> None:
    probability, _ = saved(suffix, a=values, b=NOTHING.astype(values.dtype)).probability(SAMPLES[0])
    assert probability.dtype == np.float32 and np.array_equal(probability, CRACK)


def test_probability_maps_keep_their_half(saved: Save) -> None:
    """127 of 255 lies below one half, 128 above."""
    values = np.array([[0, 127, 128], [254, 255, 3]], dtype=np.uint8)
    probability, step = saved(a=values, b=NOTHING).probability(SAMPLES[0])
    assert (probability >= 0.5).tolist() == [[False, False, True], [True, True, False]]
    assert probability == pytest.approx(values / 255) and step == 1 / 255


@pytest.mark.parametrize("faint", [[[0, 1, 1], [0, 0, 0]], [[0, 1, 255], [255, 0, 0]]])
def test_grey_values_of_other_maps_settle_what_a_faint_one_holds(saved: Save, faint: list[list[int]]) -> None:
    """A map of 8 bits that peaks at 1 of 255, beside one of all levels."""
    values = np.array([[0, 40, 90], [200, 255, 3]], dtype=np.uint8)
    folder = saved(a=np.array(faint, dtype=np.uint8), b=values)
    assert folder.probability(SAMPLES[0])[0] == pytest.approx(np.array(faint) / 255)
    assert folder.probability(SAMPLES[1])[0] == pytest.approx(values / 255)


def test_sixteen_bits_and_floats(saved: Save) -> None:
    wide = np.array([[0, 20000, 40000], [65535, 1, 2]], dtype=np.uint16)
    assert saved(a=wide, b=NOTHING).probability(SAMPLES[0])[0] == pytest.approx(wide / 65535)


def test_all_empty_is_no_crack(saved: Save) -> None:
    assert saved(a=NOTHING, b=NOTHING).probability(SAMPLES[1])[0].max() == 0


@pytest.mark.parametrize(
    ("a", "b", "suffix", "message"),
    [
        (
            CRACK.astype(np.uint8),
            (CRACK * 255).astype(np.uint8),
            ".png",
            r"a\.png: only 0 and 1, but b\.png reaches 255",
        ),
        ((CRACK * 3).astype(np.uint8), NOTHING, ".png", r"a\.png: its highest value, 3, .*class ids\? save masks as"),
        ((CRACK * 255).astype(np.uint16), NOTHING, ".png", r"a\.png: its highest value, 255, .*below half of 65535"),
        (
            np.array([[0, 1, 255]] * 2, np.uint8),
            NOTHING,
            ".png",
            r"a\.png: only 0, 1 and 255: class ids with an ignored",
        ),
        (CRACK * 8.0 - 4, CRACK * 1.0, ".npy", r"a\.npy: values from -4 to 4 .*apply a sigmoid"),
        (CRACK * np.nan, CRACK * 1.0, ".npy", r"a\.npy: values from nan"),
        (CRACK, CRACK, ".npy", r"a\.npy: int64 values; save masks"),
        (CRACK[None] * 1.0, CRACK * 1.0, ".npy", r"a\.npy: prediction is 3x2x1 but its image is 3x2"),
        (np.zeros((2, 4), np.uint8), NOTHING, ".png", r"a\.png: prediction is 4x2 but its image is 3x2; save it in"),
        (np.zeros((0, 3)), CRACK * 1.0, ".npy", r"a\.npy: empty array"),
        (np.dstack([CRACK * 255, CRACK * 0, CRACK * 0]).astype(np.uint8), NOTHING, ".png", r"a\.png: mask is a colour"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(
    saved: Save, a: NDArray[np.generic], b: NDArray[np.generic], suffix: str, message: str
) -> None:
    with pytest.raises(SegplugError, match=message):
        saved(suffix, a=a, b=b)


def test_files_that_do_not_match_are_named(saved: Save, tmp_path: Path) -> None:
    with pytest.raises(SegplugError, match="holds no prediction"):
        saved()
    with pytest.raises(SegplugError, match=r"no prediction b\.\* for b\.jpg; add it"):
        saved(a=NOTHING)
    with pytest.raises(SegplugError, match=r"c\.png: no image of that name among the 2 scored; remove it"):
        saved(a=NOTHING, b=NOTHING, c=NOTHING)
    (tmp_path / "c.png").unlink()
    (tmp_path / "a.npy").write_bytes(b"nothing")
    with pytest.raises(SegplugError, match=r"a\.(npy|png): same name as"):
        saved()
    (tmp_path / "a.png").unlink()
    with pytest.raises(SegplugError, match=r"a\.npy: not a readable \.npy file"):
        saved()


def test_the_folder_around_the_masks_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with pytest.raises(SegplugError, match=r"did you mean .*masks\?"):
        PredictionFolder(tmp_path, SAMPLES, SHAPES)


def test_log_odds_are_finite_and_undo_the_sigmoid() -> None:
    probability = np.array([0, 0.2, 0.5, 1], dtype=np.float32)
    odds = log_odds(probability, 1 / 255)
    assert np.isfinite(odds).all() and odds[0] == pytest.approx(-odds[3], rel=1e-5) and odds[2] == 0
    assert 1 / (1 + np.exp(-odds[1])) == pytest.approx(0.2)
