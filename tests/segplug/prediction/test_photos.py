"""Photos: what is written, what is left alone, and what happens to a bad one."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from segplug.errors import FilesFailed, SegplugError
from segplug.inference.predictor import Predictor
from segplug.prediction.sources import find_sources
from tests.segplug.prediction.conftest import darkness, draw, save
from yoloplug.files import WriteError, atomic_path, read_csv

Find = Callable[..., list[dict[str, Any]]]
ALL = ("masks", "overlays", "probabilities", "polygons", "coco")


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("size", [(60, 80), (300, 700)])
def test_every_kind_of_result_shows_the_dark_pixels(find: Find, tmp_path: Path, size: tuple[int, int]) -> None:
    photo, mask = draw(*size)
    rows = find(save(tmp_path / "wall.png", photo), save=ALL)
    found = tmp_path / "found"
    assert files(found) == [
        "coco.json",
        "masks/wall.png",
        "overlays/wall.png",
        "polygons/wall.geojson",
        "predictions.csv",
        "probabilities/wall.png",
        "records/wall.json",
    ]
    expected = {"name": "wall", "source": "wall.png", "width": size[1], "height": size[0], "crack_share": mask.mean()}
    assert rows == [expected]
    np.testing.assert_array_equal(cv2.imread(str(found / "masks/wall.png"), -1), mask * 255)
    overlay = cv2.imread(str(found / "overlays/wall.png"))[..., ::-1]
    assert (overlay[~mask] == photo[~mask]).all() and (overlay[mask][:, 0] > 130).all()
    stored = cv2.imread(str(found / "probabilities/wall.png"), -1)
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(stored / 65535, darkness(photo), atol=1e-5)
    coco = json.loads((found / "coco.json").read_text())
    assert coco["images"] == [{"id": 1, "file_name": "wall.png", "width": size[1], "height": size[0]}]
    masks = [coco_mask.decode(a["segmentation"]) for a in coco["annotations"]]
    np.testing.assert_array_equal(sum(masks), mask)
    assert [a["area"] for a in coco["annotations"]] == [m.sum() for m in masks] and len(masks) == 2
    assert [a["bbox"] for a in coco["annotations"]] == [
        coco_mask.toBbox(a["segmentation"]).tolist() for a in coco["annotations"]
    ]
    features = json.loads((found / "polygons/wall.geojson").read_text())["features"]
    assert sum(f["properties"]["area_px"] for f in features) == mask.sum() and len(features) == 2
    assert {f["geometry"]["type"] for f in features} == {"Polygon", "MultiPolygon"}
    assert (found / "predictions.csv").read_text().startswith("name,source,width,height,crack_share\nwall,wall.png,")


def test_a_second_run_does_only_what_is_missing(find: Find, tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", draw(seed=ord(name))[0])
    found, seen = tmp_path / "found", find.seen  # type: ignore[attr-defined]
    first = find(tmp_path / "in", save=ALL)
    coco = (found / "coco.json").read_text()
    notes: list[str] = []
    assert find(tmp_path / "in", save=ALL, note=notes.append) == first and len(seen) == 3
    assert notes == [f"3 of 3 files are finished in {found} and left alone"]
    assert (found / "coco.json").read_text() == coco
    (found / "masks" / "a.png").unlink()  # as if killed before
    (found / "records" / "b.json").unlink()
    find(tmp_path / "in", save=ALL)
    assert len(seen) == 5 and (found / "masks" / "a.png").exists()
    save(tmp_path / "in" / "c.png", draw(seed=9)[0])  # another photo of that name
    os.utime(tmp_path / "in" / "c.png", (1, 1))
    find(tmp_path / "in", save=ALL)
    assert len(seen) == 6
    find(tmp_path / "in", save=ALL, threshold=0.4)
    assert len(seen) == 9
    find(tmp_path / "in", save=ALL, threshold=0.4, overwrite=True)
    assert len(seen) == 12


def test_kinds_add_up_and_old_settings_leave_nothing(find: Find, tmp_path: Path) -> None:
    photo, found = save(tmp_path / "a.png", draw()[0]), tmp_path / "found"
    find(photo, save=["masks"])
    find(save(tmp_path / "b.png", draw(seed=3)[0]), save=["coco"])
    find(photo, save=["coco"])
    names = ["coco.json", "masks/a.png", "predictions.csv", "records/a.json", "records/b.json"]
    assert files(found) == names and len(find.seen) == 3  # type: ignore[attr-defined]
    assert [image["file_name"] for image in json.loads((found / "coco.json").read_text())["images"]] == [
        "a.png",
        "b.png",
    ]
    assert (found / "predictions.csv").read_text().count("\n") == 3
    find(photo, save=["masks", "coco"])
    assert len(find.seen) == 3  # type: ignore[attr-defined]
    find(photo, save=["overlays"], threshold=0.4)
    assert files(found) == [n.replace("masks", "overlays") for n in names]


def test_results_of_another_file_are_not_overwritten(find: Find, tmp_path: Path) -> None:
    one, other = (save(tmp_path / day / "a.png", draw(seed=i)[0]) for i, day in enumerate(("monday", "tuesday")))
    find(one)
    with pytest.raises(SegplugError, match=r"found holds results called a of another file, .*monday/a\.png"):
        find(other)
    find(other, overwrite=True)


def test_corrupt_files_are_named_at_the_end_and_the_others_done(find: Find, tmp_path: Path) -> None:
    whole = save(tmp_path / "in" / "b.png", draw()[0])
    (tmp_path / "in" / "a.png").write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "in" / "c.jpg").write_bytes(b"")
    (tmp_path / "in" / "d.tif").write_bytes(b"II*\0 broken")
    notes: list[str] = []
    with pytest.raises(FilesFailed, match=r"3 of 4 files failed, the rest is in .*a\.png.*c\.jpg.*d\.tif") as error:
        find(tmp_path / "in", note=notes.append)
    assert error.value.exit_code == 1
    assert [line.split()[0] for line in notes] == ["1/4", "2/4", "3/4", "4/4"] and "left" in notes[0]
    assert files(tmp_path / "found") == ["masks/b.png", "overlays/b.png", "predictions.csv", "records/b.json"]


def test_a_failed_write_leaves_no_half_file(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    photo = save(tmp_path / "a.png", draw()[0])
    monkeypatch.setattr("yoloplug.files.os.fsync", full)
    with pytest.raises(WriteError, match=r"cannot write .*a\.png .*No space left"):
        find(photo)
    assert files(tmp_path / "found") == []


def test_sub_folders_are_mirrored_and_what_is_left_out_is_said(find: Find, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("a.png", "north/a.png", "north/b.JPG", "south/a.png"):
        save(photos / name, draw()[0])
    (photos / "plan.pdf").touch()
    said: list[str] = []
    rows = find(photos, save=["masks", "coco"], note=said.append)
    assert f"{photos}: left out 1 .pdf (no image)" in said
    found = tmp_path / "found"
    names = ["a", "north/a", "north/b", "south/a"]
    assert sorted(str(row["name"]) for row in rows) == names
    assert files(found / "masks") == [f"{name}.png" for name in names]
    images = json.loads((found / "coco.json").read_text())["images"]
    assert sorted(image["file_name"] for image in images) == ["a.png", "north/a.png", "north/b.JPG", "south/a.png"]
    find.seen.clear()  # type: ignore[attr-defined]
    assert len(find(photos, save=["masks"])) == 4 and not find.seen  # type: ignore[attr-defined]
    said.clear()
    assert len(find_sources([photos], recursive=False, note=said.append)) == 1
    assert said == [f"{photos}: left out 2 sub-folders (--no-recursive), 1 .pdf (no image)"]


def test_transparent_pixels_are_never_crack(find: Find, tmp_path: Path) -> None:
    photo, mask = draw()
    alpha = np.full(mask.shape, 255, np.uint8)
    alpha[:, :40] = 0
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([photo[..., ::-1], alpha]))
    (row,) = find(tmp_path / "a.png")
    found = cv2.imread(str(tmp_path / "found" / "masks" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert not found[:, :40].any() and np.array_equal(found[:, 40:] > 0, mask[:, 40:])
    assert row["crack_share"] == pytest.approx(mask[:, 40:].mean())


def test_a_region_is_left_out_and_a_new_one_replaces_it(find: Find, tmp_path: Path) -> None:
    photo, mask = draw()
    source = save(tmp_path / "a.png", photo)
    for left in (40, 20):
        (row,) = find(source, region=[f"0,0 {left},0 {left},60 0,60"])
        found = cv2.imread(str(tmp_path / "found" / "masks" / "a.png"), cv2.IMREAD_UNCHANGED)
        assert not found[:, : left + 1].any() and np.array_equal(found[:, left + 1 :] > 0, mask[:, left + 1 :])
        assert row["crack_share"] == pytest.approx(mask[:, left + 1 :].mean())
    assert len(find.seen) == 2  # type: ignore[attr-defined]


def test_names_that_clash_get_longer(tmp_path: Path) -> None:
    given = ["x/a.jpg", "x/a.png", "x/b.png", "y/b.png", "y/c.png"]
    for name in given:
        save(tmp_path / name, draw()[0])
    sources = find_sources([tmp_path / "x", tmp_path / "y" / "*.png", tmp_path / "x" / "b.png"])
    assert [source.name for source in sources] == ["a_jpg", "a_png", "x_b_png", "y_b_png", "c"]
    assert [source.name for source in find_sources([f"{tmp_path}/**/c.*"])] == ["c"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["none"], "none: no such file or folder"),
        (["*.png"], r"\*\.png: matches no image"),
        (["empty"], "empty: holds no image"),
        ([], "nothing to predict"),
    ],
)
def test_nothing_to_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegplugError, match=message):
        find_sources(given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"save": ["mask"]}, "unknown save 'mask'; valid: masks, overlays, prob"),
        ({"save": []}, "nothing to save"),
        ({"threshold": 1.0}, "threshold must lie between 0 and 1"),
        ({"every": 0}, "every must be at least 1"),
        ({"tile": 10**9}, "tile must lie between 256 and 65536 px"),
    ],
)
def test_wrong_settings_are_named(find: Find, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SegplugError, match=message):
        find(save(tmp_path / "a.png", draw()[0]), **options)


def test_a_network_that_gives_nan_is_refused(tmp_path: Path, find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Predictor(Path("m.ckpt"), "0", 0.5, lambda image: np.full(image.shape[:2], np.nan, np.float32))
    monkeypatch.setattr("segplug.prediction.run.load", lambda *_: broken)
    with pytest.raises(SegplugError, match=r"m\.ckpt: the model gives NaN"):
        find(save(tmp_path / "a.png", draw()[0]))


def test_ctrl_c_keeps_what_is_finished(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"walls/{name}.png", draw()[0])

    def note(text: str) -> None:
        if "a.png" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(tmp_path / "walls", note=note)
    assert [row["name"] for row in read_csv(tmp_path / "found" / "predictions.csv")] == ["a"]


def test_a_name_too_long_for_its_results_stops_no_other(find: Find, tmp_path: Path) -> None:
    photo = draw()[0]
    save(tmp_path / "walls/a.png", photo).rename(tmp_path / f"walls/{'a' * 250}.png")
    save(tmp_path / "walls/b.png", photo)
    with pytest.raises(FilesFailed, match=r"1 of 2 files failed.*aaa\.png: its name is too long for its results"):
        find(tmp_path / "walls", save=("polygons",))
    assert files(tmp_path / "found") == ["polygons/b.geojson", "predictions.csv", "records/b.json"]


def test_progress_within_one_large_photo(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segplug.notes.EVERY_S", 0)
    notes: list[str] = []
    find(save(tmp_path / "wall.png", draw(300, 700)[0]), note=notes.append)
    assert len(notes) > 3 and re.match(r"1/\d+ tiles of wall.png, \d+ s left", notes[0]), notes


def test_half_written_files_of_a_killed_run_are_removed(find: Find, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="kept back"), atomic_path(tmp_path / "found/masks/wall.png") as part:
        left = part.with_name(re.sub(r"-\d+-", f"-{2**22 + 1}-", part.name))  # no such process
        raise OSError("kept back")
    left.write_bytes(b"half")
    find(save(tmp_path / "wall.png", draw()[0]))
    assert not left.exists()


def test_a_name_like_a_formula_is_none_in_the_table(find: Find, tmp_path: Path) -> None:
    find(save(tmp_path / "=1+1.png", draw()[0]))
    assert (tmp_path / "found/predictions.csv").read_text().splitlines()[1].startswith("'=1+1,'=1+1.png,")


def test_a_photo_is_seen_once_at_each_scale(find: Find, tmp_path: Path) -> None:
    """And its probabilities are those of the predictor itself, as `segplug.load` and rasters give them."""
    photo, _ = draw(200, 240)
    find(save(tmp_path / "wall.png", photo), save=["probabilities"], scales=(1, 0.5))
    assert find.seen == [(200, 240, 3), (100, 120, 3)]  # type: ignore[attr-defined]
    written = cv2.imread(str(tmp_path / "found/probabilities/wall.png"), cv2.IMREAD_UNCHANGED)
    expected = Predictor(Path("dark"), "", 0.5, darkness, (1, 0.5))(photo)
    assert abs(written / 65535 - expected).max() < 1e-4
