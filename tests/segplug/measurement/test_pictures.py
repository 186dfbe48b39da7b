"""The annotated pictures."""

import base64
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from segplug.measurement import measure_mask
from segplug.measurement.accuracy.drawn import straight_crack
from segplug.measurement.report.page import picture_data
from segplug.measurement.report.picture import FONT, LEGEND, _places, draw_measurement, mask_background
from segplug.page.palette import OUTLINE, rgb


def test_numbers_of_crowded_cracks_cover_no_other_number() -> None:
    mask = np.zeros((900, 900), dtype=np.uint8)
    for i in range(12):
        mask[400 + 12 * i : 403 + 12 * i, 440:480] = 255
    measured = measure_mask(mask)
    drawn = draw_measurement(np.full((900, 900, 3), 200, np.uint8), mask, measured)[:900]
    boxes = cv2.erode((drawn.max(axis=2) < 60).astype(np.uint8), np.ones((3, 3)))  # without the lines to them
    sizes = cv2.connectedComponentsWithStats(boxes)[2][1:, cv2.CC_STAT_WIDTH : cv2.CC_STAT_HEIGHT + 1]
    assert len(measured.cracks) == 12 and (sizes.min(axis=1) >= 15).sum() == 12


def test_pictures_of_large_photos_are_smaller() -> None:
    """A photo of 108 megapixels would be a JPEG of 31 MB."""
    mask = np.zeros((200, 9000), dtype=np.uint8)
    mask[90:100, 20:8900] = 1
    picture = draw_measurement(mask_background(mask), mask, measure_mask(mask))
    assert picture.shape[1] == 6000 and (picture[60:66].std() > 20)


def test_pictures_on_the_page_are_jpegs_of_quality_85_and_1400_px() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    head, data = picture_data(noise).split(",")
    like = io.BytesIO()
    Image.fromarray(noise).save(like, "JPEG", quality=85)
    found = Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == "data:image/jpeg;base64" and found.size == (30, 20)
    assert found.quantization == Image.open(like).quantization  # type: ignore[attr-defined]
    large = base64.b64decode(picture_data(np.zeros((700, 2800, 3), np.uint8)).split(",")[1])
    assert cv2.imdecode(np.frombuffer(large, np.uint8), cv2.IMREAD_COLOR).shape == (350, 1400, 3)


def test_picture_marks_every_crack() -> None:
    mask = straight_crack(4, 30).mask.astype(np.uint8)
    plain = draw_measurement(mask_background(mask), mask, measure_mask(mask, min_length_px=1000))
    marked = draw_measurement(mask_background(mask), mask, measure_mask(mask, mm_per_px=0.5))
    assert plain.shape == marked.shape and plain.shape[1] == mask.shape[1] * 5
    pink = (abs(marked.astype(int) - (255, 60, 200)).max(axis=2) < 20)[: 5 * mask.shape[0]]
    rows = np.nonzero(pink.any(axis=1))[0]
    assert 2 * 0.75 * 4 * 5 - 4 < np.ptp(rows) < 2 * 0.75 * 4 * 5 + 8  # a ring half as wide again as the crack
    assert pink.any() and not (abs(plain.astype(int) - (255, 60, 200)).max(axis=2) < 20)[: 5 * mask.shape[0]].any()
    outlined = (abs(plain.astype(int) - rgb(OUTLINE)).max(axis=2) < 20)[: 5 * mask.shape[0]]
    assert outlined.sum() > 2 * 5 * mask.any(axis=0).sum()  # along both sides
    red, _, blue = np.moveaxis(marked[: 5 * mask.shape[0]].astype(int), 2, 0)
    along = blue - red > 60  # as in the line's colour, which softens at its sides
    assert along.any(axis=0).sum() > 0.9 * 5 * mask.any(axis=0).sum()  # the centre line, from end to end
    with pytest.raises(ValueError, match="background must be"):
        draw_measurement(np.zeros((3, 3, 3), np.uint8), mask, measure_mask(mask))


def test_the_legend_has_a_bar_of_the_length_that_it_says_and_a_mark_of_each_colour() -> None:
    """1000 px at 0.5 mm each: up to a fifth of the width is 100 mm, 200 px. Marks are 14 px long and 4 high."""
    mask = np.zeros((400, 1000), dtype=np.uint8)
    mask[200:203, 100:900] = 1
    legend = draw_measurement(mask_background(mask), mask, measure_mask(mask, mm_per_px=0.5))[400:].astype(int)
    assert legend.shape[0] == 28
    left = []
    for colour, length in (((20, 20, 20), 200), *((colour, 14) for colour in LEGEND.values())):
        rows, columns = np.nonzero((abs(legend - colour).max(axis=2) < 30)[8:18])
        middle = columns[rows == 4]  # text has the ink's colour, too: of the bar it is the first run
        run = middle[: np.argmax(np.diff(middle, append=10_000) > 1) + 1]
        assert length <= len(run) <= length + 5 and 4 <= np.ptp(rows[columns == run[len(run) // 2]]) + 1 <= 6
        left.append(run[0])
    assert left == sorted(left) and left[0] in (6, 7, 8)
    wide = [cv2.getTextSize(text, FONT, 0.5, 1)[0][0] for text in ("100 mm", *LEGEND)]
    expected = np.cumsum([length + text + 8 + 14 for length, text in zip((200, 14, 14), wide, strict=False)])
    assert [x - left[0] for x in left[1:]] == pytest.approx(expected.tolist(), abs=0)


def test_a_number_may_stand_on_all_eight_sides_of_its_ring() -> None:
    """Of the nearest round of places; none covers the ring."""
    boxes = _places(500, 500, 20, 30, 10, 1000, 1000)[:8]
    assert len(set(boxes)) == 8
    sides = {(np.sign(left + 15 - 500), np.sign(top + 5 - 500)) for left, top, *_ in boxes}
    assert len(sides) == 8 and (0, 0) not in sides
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (30, 10)
        assert max(abs((left + right) / 2 - 500) - 15, abs((top + bottom) / 2 - 500) - 5) == 20
