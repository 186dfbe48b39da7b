"""Which files of a folder are taken, and that every other one is counted and said."""

from pathlib import Path

import pytest

from segplug.data.images import listing
from segplug.data.images.listing import by_name, list_images, unique_names
from segplug.errors import SegplugError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_every_image_format_and_sub_folder_is_taken_and_the_rest_said(tmp_path: Path) -> None:
    images = ["a.JPG", "b.jfif", "c.jp2", "d.gif", "e.heic", "f.dng", "wall/g.png", "wall/top/h.tif"]
    touch(tmp_path, *images, "notes.txt", "more.txt", "wall/x.xml", "Makefile", ".hidden.png", ".git/i.png")
    found = list_images(tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in found.files] == images
    assert found.left_out() == f"{tmp_path}: left out 2 .txt, 1 .xml, 1 without suffix (no image)"
    flat = list_images(tmp_path, recursive=False)
    assert len(flat.files) == 6 and "left out 1 sub-folder (--no-recursive), 2 .txt" in flat.left_out()
    touch(tmp_path / "only", "a.png")
    assert list_images(tmp_path / "only").left_out() == ""


def test_images_without_their_package_are_left_out_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.heic", "b.heic", "c.dng", "d.png")
    monkeypatch.setattr(listing, "find_spec", lambda name: None)
    found = list_images(tmp_path)
    assert [file.name for file in found.files] == ["d.png"] and len(found.unread) == 3
    line = found.left_out()
    assert "2 .heic (pip install 'yoloplug[heif]' to read them), 1 .dng (pip install 'yoloplug[raw]' to" in line


def test_own_results_and_circles_of_links_are_not_gone_into(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "found/predictions.csv", "found/masks/a.png", "out/masks/a.png", "wall/b.png")
    (tmp_path / "wall" / "again").symlink_to(tmp_path)
    found = list_images(tmp_path, without=tmp_path / "out")
    assert [file.name for file in found.files] == ["a.png", "b.png"]
    assert found.left_out().endswith("1 folders of segplug's results")
    assert len(list_images(tmp_path / "found").files) == 1  # itself asked for


def test_names_get_their_folders_only_where_stems_clash(tmp_path: Path) -> None:
    assert unique_names([Path("x/a.png"), Path("y/b.png")]) == ["a", "b"]
    assert unique_names([Path("i/x/a.png"), Path("i/y/a.jpg"), Path("i/b.png")]) == ["x-a", "y-a", "b"]
    with pytest.raises(SegplugError, match=r"a\.png: same name as a\.jpg; keep one"):
        by_name([Path("a.jpg"), Path("a.png")])
