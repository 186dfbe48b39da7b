"""`segplug measure` as typed: its files, pictures, report, exit codes and mistakes."""

import base64
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segplug.cli import main
from segplug.data.images.reading import read_image


def measure(*arguments: object) -> int:
    return main(["measure", *map(str, arguments)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_folder_with_photos(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    assert measure(found, "--images", tmp_path / "photos", "--mm-per-px", 0.4, "--out", out) == 0
    shown = capsys.readouterr()
    assert shown.out == f"1 crack in 2 masks; open {out / 'report.html'}\n"
    assert "1/2 wall 2.png: no crack" in shown.err and "2/2 wall <1>.png: 1 crack, 48 mm long" in shown.err
    (crack,) = rows(out / "measurements.csv")
    assert crack["image"] == "wall <1>" and float(crack["length_mm"]) == pytest.approx(48, rel=0.03)
    assert float(crack["mean_width_mm"]) == pytest.approx(1.6, abs=0.2) and float(crack["area_mm2"]) == 76.8
    images = {row["image"]: row for row in rows(out / "images.csv")}
    assert images["wall 2"]["cracks"] == "0" and images["wall 2"]["max_width_mm"] == ""
    assert float(images["wall <1>"]["crack_share"]) == 480 / 19200
    assert float(images["wall <1>"]["density_mm_per_mm2"]) == pytest.approx(48 / (64 * 48), rel=0.03)
    stored = json.loads((out / "measurements.json").read_text(encoding="utf-8"))
    assert stored["images"][1]["cracks"][0]["length_px"] == float(crack["length_px"]) and stored["failed"] == []
    assert stored["scale"] == "Given: 0.4 mm per pixel." and stored["min_length_px"] == 20
    picture = read_image(out / "annotated" / "wall <1>.jpg")
    assert picture.shape[1] == 960 and picture.shape[0] > 720


def stored_images(out: Path) -> list[dict[str, Any]]:
    stored = json.loads((out / "measurements.json").read_text(encoding="utf-8"))
    return list(stored["images"])


def test_report_is_one_sound_page(found: Path, tmp_path: Path) -> None:
    assert measure(found, "--mm-per-px", 0.4, "--out", tmp_path / "report") == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    counts = re.findall(r'href="#image-\d"[^\n]*?</th><td>(\w+)</td>', page, re.DOTALL)
    assert counts == [str(len(image["cracks"])) for image in stored_images(tmp_path / "report")]
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            for name, value in attrs:
                assert name not in ("src", "href") or (value or "").startswith(("data:image/jpeg;base64,", "#"))

    Reader().feed(page)
    assert tags.count("img") == 2 and tags.count("table") == 2 and "script" not in tags
    assert "wall &lt;1&gt;" in page and "wall <1>" not in page
    assert "0.4 mm per pixel" in page and "48 mm" in page and re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d", page)
    data = base64.b64decode(re.findall(r'base64,([^"]+)"', page)[0])
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_bad_mask_does_not_stop_the_rest(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found / "masks" / "broken.png").write_bytes(b"junk")
    assert cv2.imwrite(str(found / "masks" / "ids.png"), np.arange(9, dtype=np.uint8).reshape(3, 3))
    assert measure(found, "--px-only", "--out", tmp_path / "report") == 1
    shown = capsys.readouterr()
    assert "1 crack in 2 masks" in shown.out and "2 of 4 masks failed, the rest is in" in shown.err
    assert "broken.png: not a readable image" in shown.err and "ids.png: mask values" in shown.err
    assert len(rows(tmp_path / "report" / "images.csv")) == 2
    stored = json.loads((tmp_path / "report" / "measurements.json").read_text(encoding="utf-8"))
    assert [Path(entry["file"]).name for entry in stored["failed"]] == ["broken.png", "ids.png"]
    assert "Not measured: 2" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_photo_of_another_size_or_missing_is_reported(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    (photos / "wall 2.jpg").unlink()
    assert cv2.imwrite(str(photos / "wall <1>.jpg"), np.zeros((60, 80, 3), np.uint8))
    assert measure(found, "--px-only", "--images", photos, "--out", tmp_path / "report") == 1
    told = capsys.readouterr().err
    assert "mask is 160x120 but wall <1>.jpg is 80x60" in told and "no photo wall 2.*" in told
    assert rows(tmp_path / "report" / "measurements.csv") == []


def test_photos_without_mask_are_named(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "photos" / "site <7>.jpg"
    photo.write_bytes(b"cut off")  # predict could not read it
    out = tmp_path / "report"
    assert measure(found, "--images", photo.parent, "--px-only", "--out", out) == 0
    assert f"{photo}: has no mask, not measured\n" in capsys.readouterr().err
    assert "Not measured: 1" in (page := (out / "report.html").read_text(encoding="utf-8"))
    assert "site &lt;7&gt;.jpg: has no mask" in page
    assert json.loads((out / "measurements.json").read_text(encoding="utf-8"))["photos_without_mask"] == [str(photo)]


def test_sub_folders_are_mirrored(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for root in (found / "masks", tmp_path / "photos"):
        (root / "north").mkdir()
        for file in list(root.glob("wall <1>.*")):
            file.rename(root / "north" / file.name.replace("wall <1>", "wall 2"))
    (found / "masks" / "notes.txt").touch()
    out = tmp_path / "report"
    assert measure(found, "--images", tmp_path / "photos", "--px-only", "--out", out) == 0
    assert f"{found / 'masks'}: left out 1 .txt (no image)\n" in capsys.readouterr().err
    assert {row["image"] for row in rows(out / "images.csv")} == {"wall 2", "north/wall 2"}
    assert (out / "annotated" / "north" / "wall 2.jpg").is_file()
    assert measure(found, "--px-only", "--no-recursive", "--out", tmp_path / "flat") == 0
    assert "left out 1 sub-folder (--no-recursive)" in capsys.readouterr().err


def test_a_video_is_not_a_photo_without_mask(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos" / "bridge.mp4").touch()
    assert measure(found, "--images", tmp_path / "photos", "--px-only", "--out", tmp_path / "report") == 0
    said = capsys.readouterr().err
    assert "bridge.mp4: of videos `segplug predict` writes masks as a video" in said and "has no mask" not in said


def test_an_inverted_mask_is_refused_until_its_values_are_said(
    found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (found / "masks").glob("*.png"):
        cv2.imwrite(str(file), 255 - cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
    out = tmp_path / "report"
    assert measure(found, "--px-only", "--out", out) == 2
    assert "above 50 % in 2 of 2 masks; if cracks are the dark value say --mask-values 255/0" in capsys.readouterr().err
    assert measure(found, "--px-only", "--out", out, "--mask-values", "255/0") == 0
    assert {row["image"]: float(row["crack_share"]) for row in rows(out / "images.csv")} == {
        "wall 2": 0.0,
        "wall <1>": 480 / 19200,
    }


def test_class_ids_are_measured_as_said(found: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = found / "masks" / "wall <1>.png"
    mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED) // 255 * 2
    mask[:20] = 1
    mask[60:] = 255
    cv2.imwrite(str(file), mask)
    assert measure(found, "--px-only", "--out", tmp_path / "a") == 1
    assert "say which are crack, as --crack-values 1,2" in capsys.readouterr().err
    flags = ("--crack-values", "2", "--ignore-value", "255", "--px-only")
    assert measure(found, *flags, "--out", tmp_path / "b") == 0
    assert {row["image"]: row["cracks"] for row in rows(tmp_path / "b" / "images.csv")} == {
        "wall 2": "0",
        "wall <1>": "1",
    }
    assert measure(found, "--mask-values", "0", "--px-only", "--out", tmp_path / "c") == 2


@pytest.mark.parametrize("beside", ["found/masks", "photos"])
def test_pictures_of_an_earlier_run_are_neither_masks_nor_photos(
    found: Path, tmp_path: Path, beside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / beside / "report"
    for _ in range(2):
        assert measure(found / "masks", "--images", tmp_path / "photos", "--px-only", "--out", out) == 0
        said = capsys.readouterr()
        assert "in 2 masks" in said.out and "has no mask" not in said.err


def test_regions_and_transparent_photos_are_outside(found: Path, tmp_path: Path) -> None:
    """The crack runs from column 20 to 140."""
    photo = tmp_path / "photos" / "wall <1>.jpg"
    pixels = np.full((120, 160, 4), 255, np.uint8)
    pixels[:, :50, 3] = 0
    cv2.imwrite(str(photo.with_suffix(".png")), pixels)
    photo.unlink()
    flags = ("--images", tmp_path / "photos", "--px-only", "--region", "100,0 160,0 160,120 100,120")
    assert measure(found, *flags, "--out", tmp_path / "a") == 0
    (crack,) = rows(tmp_path / "a" / "measurements.csv")
    assert float(crack["length_px"]) == pytest.approx(50, abs=2) and float(crack["area_px"]) == 4 * 50


def test_photos_are_named_as_predict_names_its_masks(found: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "wall 2.jpg").rename(tmp_path / "photos" / "wall <1>.JPEG")
    (found / "masks" / "wall 2.png").rename(found / "masks" / "wall <1>_JPEG.png")
    (found / "masks" / "wall <1>.png").rename(found / "masks" / "wall <1>_jpg.png")
    assert measure(found, "--images", tmp_path / "photos", "--px-only", "--out", tmp_path / "report") == 0
    stored = json.loads((tmp_path / "report" / "measurements.json").read_text(encoding="utf-8"))
    assert len(stored["images"]) == 2 and stored["photos_without_mask"] == []


def test_long_names_and_names_like_formulas(found: Path, tmp_path: Path) -> None:
    (found / "masks" / "wall <1>.png").rename(found / "masks" / f"{'a' * 240}.png")
    (found / "masks" / "wall 2.png").rename(found / "masks" / "=1+1.png")
    out = tmp_path / "report"
    assert measure(found, "--px-only", "--out", out) == 0
    assert [row["image"] for row in rows(out / "images.csv")] == ["'=1+1", "a" * 240]
    assert (out / "annotated" / f"{'a' * 240}.jpg").is_file()


def test_a_camera_beyond_all_cameras(found: Path, tmp_path: Path) -> None:
    camera = ["--focal-mm", "1e-300", "--sensor-width-mm", "1e300", "--distance-mm", "1e300"]
    assert measure(found, *camera, "--out", tmp_path / "report") == 1
    failed = json.loads((tmp_path / "report" / "measurements.json").read_text(encoding="utf-8"))["failed"]
    assert [entry["reason"][:42] for entry in failed] == ["the camera: inf mm per pixel; must lie bet"] * 2


def test_single_mask_and_photo_in_pixels(found: Path, tmp_path: Path) -> None:
    mask, photo = found / "masks" / "wall <1>.png", tmp_path / "photos" / "wall 2.jpg"
    limits = ["--min-length-px", 7, "--join-px", 3]
    assert measure(mask, "--images", photo, "--px-only", *limits, "--out", tmp_path / "report") == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Pieces shorter than 7 px" in page and "at most 3 px" in page
    (crack,) = rows(tmp_path / "report" / "measurements.csv")
    assert crack["length_mm"] == crack["mean_width_mm"] == "" and float(crack["length_px"]) > 100


def test_camera_scale_comes_from_the_picture(found: Path, tmp_path: Path) -> None:
    camera = ["--focal-mm", 35, "--sensor-width-mm", 36, "--distance-mm", 2000]
    assert measure(found, *camera, "--out", tmp_path / "report") == 0
    assert float(rows(tmp_path / "report" / "images.csv")[0]["mm_per_px"]) == pytest.approx(36 * 2000 / 35 / 160)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "--px-only"], "none: no such file or folder"),
        (["empty", "--px-only"], "empty: holds no mask"),
        (["found"], "no scale: give one of --mm-per-px"),
        (["found", "--mm-per-px", "1", "--reference-px", "9"], "2 scales"),
        (["found", "--px-only", "--min-length-px", "-1"], "min_length_px must lie between 0 and 1e+06, got -1.0"),
        (["found", "--px-only", "--min-length-px", "inf"], "min_length_px must lie between 0 and 1e+06, got inf"),
        (["found", "--mm-per-px", "1e308"], "--mm-per-px: 1e+308 mm per pixel; must lie between 1e-06 and 1e+06"),
        (["found", "--reference-px", "1e-300", "--reference-mm", "9"], "the reference: 9e+300 mm per pixel; must lie"),
        (["found", "--px-only", "--images", "nowhere"], "nowhere: no such file or folder"),
        (["found", "--px-only", "--images", "empty"], "empty: holds no image and no video"),
        (["found", "--px-only", "--images", "others"], "others: no photo is named like a mask"),
        (["found", "--px-only", "--images", "photos/wall 2.jpg"], "photos/wall 2.jpg: one photo for 2 masks"),
    ],
)
def test_mistakes_are_one_line_and_code_2(
    found: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "road.jpg").write_bytes(b"")
    assert measure(*arguments, "--out", "report") == 2
    told = capsys.readouterr().err
    assert told.startswith(f"segplug measure: {message}") and told.count("\n") == 1
    assert not (tmp_path / "report").exists()


def test_usage_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        measure("masks", "--px-only")
    assert "--out DIR" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        measure("--help")
    assert "example: segplug measure" in capsys.readouterr().out
