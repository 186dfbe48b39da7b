"""One encoding for all masks of a data set: what is detected, what is refused, what the user can say."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from segplug.data.labels import NO_LABEL
from segplug.data.labels.mask_encoding import Encoding, MaskRules, Stored, find_encoding, refuse_inverted
from segplug.errors import SegplugError


def holding(name: str, counts: dict[int, int], lossy: bool = False) -> Stored:
    table = np.zeros(256, dtype=np.int64)
    table[list(counts)] = list(counts.values())
    return Stored(Path(name), table, lossy)


def meaning(encoding: Encoding, *values: int) -> list[int]:
    return encoding.table[list(values)].tolist()


EMPTY = holding("empty.png", {0: 100})


@pytest.mark.parametrize(("value", "about"), [(1, "0/1"), (255, "0/255")])
def test_empty_masks_join_either_encoding(value: int, about: str) -> None:
    encoding = find_encoding([EMPTY, holding("a.png", {0: 90, value: 10})], MaskRules())
    assert encoding.about == about and meaning(encoding, 0, value) == [0, 1]
    assert find_encoding([EMPTY], MaskRules()).about == "all 0, no crack"


def test_two_encodings_in_one_set_are_refused() -> None:
    files = [holding("ids.png", {0: 90, 1: 10}), holding("grey.png", {0: 90, 255: 10})]
    with pytest.raises(
        SegplugError, match=r"ids\.png: mask values 0 and 1, but grey\.png reaches 255; .*--ignore-value"
    ):
        find_encoding(files, MaskRules())
    encoding = find_encoding(files, MaskRules(ignore_value=255))
    assert meaning(encoding, 0, 1, 255) == [0, 1, NO_LABEL] and "255 has no label" in encoding.about


def test_255_beside_1_is_ambiguous_in_one_file() -> None:
    with pytest.raises(SegplugError, match=r"a\.png: mask values 0, 1, 255 .*--crack-values 1 --ignore-value 255"):
        find_encoding([holding("a.png", {0: 8, 1: 8, 255: 8})], MaskRules())


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_jpeg_masks_of_thin_cracks_are_cut(quality: int) -> None:
    mask = np.zeros((200, 200), np.uint8)
    cv2.polylines(mask, [np.array([[5, 5], [80, 120], [190, 180]], np.int32)], False, 255, 2)
    _, coded = cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    for lossy in (True, False):  # a .png saved from a .jpg too
        encoding = find_encoding(
            [EMPTY, Stored(Path("m"), np.bincount(decoded.ravel(), minlength=256), lossy)], MaskRules()
        )
        assert encoding.about == "0/255 with grey artefacts in 1 of 2 files, cut at 127"
        assert np.mean(encoding.table[decoded] != mask // 255) < 1e-3


def test_grey_without_two_modes_and_dim_masks_are_refused() -> None:
    with pytest.raises(SegplugError, match=r"soft\.png: grey mask without two clear modes"):
        find_encoding([holding("soft.png", {v: 10 for v in range(256)})], MaskRules())
    with pytest.raises(SegplugError, match=r"dim\.jpg: mask values 0, 3, 20, 38 are neither"):
        find_encoding([holding("dim.jpg", {0: 90, 3: 5, 20: 3, 38: 2}, lossy=True)], MaskRules())


def test_black_cracks_on_white_are_asked_about() -> None:
    files = [holding("a.png", {0: 10, 255: 90}), holding("b.png", {0: 5, 255: 95})]
    with pytest.raises(SegplugError, match=r"b\.png: 95 % crack, and above 50 % in 2 of 2 .*--mask-values 255/0"):
        refuse_inverted(files, [find_encoding(files, MaskRules())] * 2, MaskRules())
    for text, crack in (("255/0", 0), ("0/255", 255)):
        rules = MaskRules.parse(text, None, None)
        encoding = find_encoding(files, rules)
        refuse_inverted(files, [encoding] * 2, rules)
        assert encoding.table[crack] == 1 and encoding.table[255 - crack] == 0


def test_two_given_values_cut_artefacts_but_no_third_class() -> None:
    rules = MaskRules.parse("255/0", None, None)
    soft = holding("a.jpg", {0: 20, 30: 5, 120: 1, 140: 1, 255: 80}, lossy=True)
    encoding = find_encoding([soft], rules)
    assert meaning(encoding, 0, 30, 120, 140, 255) == [1, 1, 1, 0, 0] and "cut half-way" in encoding.about
    with pytest.raises(SegplugError, match=r"t\.png: holds 128, but mask_values says 255/0"):
        find_encoding([holding("t.png", {0: 5, 128: 5, 255: 5})], rules)


def test_class_ids() -> None:
    files = [holding("a.png", {0: 90, 1: 5, 3: 5}), holding("b.png", {0: 90, 2: 5, 255: 5})]
    with pytest.raises(SegplugError, match=r"a\.png: mask values 0, 1, 3 .* --crack-values 1,2"):
        find_encoding(files, MaskRules())
    with pytest.raises(SegplugError, match=r"b\.png: holds 255 beside class ids; say --ignore-value 255"):
        find_encoding(files, MaskRules.parse(None, "1,2", None))
    encoding = find_encoding(files, MaskRules.parse(None, "1, 2", 255))
    assert meaning(encoding, 0, 1, 2, 3, 255) == [0, 1, 1, 0, NO_LABEL]
    assert encoding.about == "class ids 0, 1, 2, 3, crack = 1, 2; 255 has no label"
    assert meaning(find_encoding(files, MaskRules.parse(None, "1", -1)), 255) == [0]
    with pytest.raises(SegplugError, match="no mask holds crack_values 7; they hold 0, 1, 2, 3"):
        find_encoding(files, MaskRules.parse(None, "7", 255))
    with pytest.raises(SegplugError, match=r"c\.jpg: class ids do not survive a lossy file"):
        find_encoding([holding("c.jpg", dict.fromkeys(range(20), 5), lossy=True)], MaskRules.parse(None, "1", None))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (("0", None, None), "mask_values must be two values like 255/0"),
        (("0/300", None, None), "mask_values must be values from 0 to 255"),
        (("5/5", None, None), "mask_values must be two values"),
        ((None, "crack", None), "crack_values must be values from 0 to 255 like 1,2, got 'crack'"),
        (("0/1", "1", None), "exclude each other"),
        ((None, "1", 1), "1 cannot be both"),
        ((None, None, 256), "ignore_value must lie between"),
    ],
)
def test_rules_are_checked(rules: tuple[str | None, str | None, int | None], message: str) -> None:
    with pytest.raises(SegplugError, match=message):
        MaskRules.parse(*rules)


def test_two_other_values_are_cured_by_saying_them() -> None:
    files = [holding("a.png", {0: 90, 254: 10}), holding("b.png", {0: 80, 254: 20})]
    with pytest.raises(SegplugError, match=r"a\.png: mask values 0, 254 .* --mask-values 0/254, .*--crack-values 254"):
        find_encoding(files, MaskRules())
    assert meaning(find_encoding(files, MaskRules.parse("0/254", None, None)), 0, 254) == [0, 1]
