"""Videos: frames that are kept, their order and their crack share."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segplug.errors import FilesFailed
from tests.segplug.prediction.conftest import draw

Find = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Seven frames at 10 a second, each with a wider dark bar."""
    path = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 10, (80, 60))
    for i in range(7):
        frame = np.full((60, 80, 3), 230, dtype=np.uint8)
        frame[:, : 8 * i] = 10
        writer.write(frame)
    writer.release()
    return path


def frames(path: Path) -> list[np.ndarray]:
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        done, frame = capture.read()
        if not done:
            return found
        found.append(frame)


@pytest.mark.parametrize(("every", "kept"), [(1, range(7)), (3, (0, 3, 6))])
def test_each_kept_frame_is_predicted(find: Find, video: Path, tmp_path: Path, every: int, kept: Any) -> None:
    rows = find(video, every=every)
    with (tmp_path / "found/frames/drive.csv").open() as handle:
        table = list(csv.DictReader(handle))
    assert [int(row["frame"]) for row in table] == list(kept)
    assert [float(row["time_s"]) for row in table] == [i / 10 for i in kept]
    assert [float(row["crack_share"]) for row in table] == [i / 10 for i in kept]
    assert rows[0]["crack_share"] == pytest.approx(np.mean([i / 10 for i in kept]))
    masks, overlays = frames(tmp_path / "found/masks/drive.mkv"), frames(tmp_path / "found/overlays/drive.mp4")
    assert len(masks) == len(overlays) == len(list(kept))
    for i, mask in zip(kept, masks, strict=True):
        assert (mask[:, : 8 * i] == 255).all() and (mask[:, 8 * i :] == 0).all()
    assert cv2.VideoCapture(str(tmp_path / "found/overlays/drive.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(
        10 / every, rel=0.01
    )
    assert overlays[-1][30, 10, 2] > 100 > overlays[-1][30, 10, 0]


def test_a_broken_video_is_named_and_leaves_nothing(find: Find, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"no video")
    assert cv2.imwrite(str(tmp_path / "in" / "b.png"), draw()[0])
    with pytest.raises(FilesFailed, match=r"1 of 2 files failed.*a\.mp4: not a readable video"):
        find(tmp_path / "in")
    assert sorted(p.name for p in (tmp_path / "found").rglob("*.*")) == ["b.json", "b.png", "b.png", "predictions.csv"]
