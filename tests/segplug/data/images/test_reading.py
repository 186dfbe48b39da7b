"""How images are read, and what is refused by name."""

import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from segplug.data.images.reading import further_pages, orientation, read_image, read_picture
from segplug.errors import SegplugError


def saved(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def test_broken_and_empty_files_are_named(tmp_path: Path) -> None:
    whole = saved(tmp_path / "x.png", np.eye(8, dtype=np.uint8)).read_bytes()
    for name, content in (("broken.png", whole[:20]), ("empty.png", b""), ("text.jpg", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SegplugError, match=f"{name}: not a readable image"):
            read_image(tmp_path / name)


def test_images_are_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    pixels[..., 0] = 200  # OpenCV writes blue first
    assert read_image(saved(tmp_path / "i.png", pixels))[0, 0].tolist() == [0, 0, 200]


def test_images_of_any_kind_come_as_three_channels_of_eight_bits(tmp_path: Path) -> None:
    grey = np.arange(0, 128, 2, dtype=np.uint8).reshape(8, 8)
    wanted = np.repeat(grey[..., None], 3, axis=2)
    opaque = np.concatenate([wanted, np.full((8, 8, 1), 255, np.uint8)], axis=2)
    for pixels in (grey, opaque, grey.astype(np.uint16) * 256 + 7):
        assert np.array_equal(read_image(saved(tmp_path / "i.png", pixels)), wanted)
    with pytest.raises(SegplugError, match=r"i\.png: 16-bit image whose highest value is 1260 of 65535"):
        read_image(saved(tmp_path / "i.png", grey.astype(np.uint16) * 10))
    with pytest.raises(SegplugError, match=r"f\.tif: image has float32 pixels"):
        read_image(saved(tmp_path / "f.tif", wanted.astype(np.float32)))


def test_the_cameras_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((4, 8, 3), dtype=np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (8, 4, 3) and orientation(tmp_path / "turned.jpg") == 6


def test_formats_beyond_opencv_are_read(tmp_path: Path) -> None:
    pixels = cv2.resize(np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8), (60, 40))
    for name, options in (("a.jfif", {"format": "JPEG"}), ("a.jp2", {}), ("a.gif", {}), ("a.avif", {}), ("a.ppm", {})):
        Image.fromarray(pixels).save(tmp_path / name, **options)
        assert np.abs(read_image(tmp_path / name).astype(int) - pixels).mean() < 12, name


def test_heic_is_read_as_the_camera_turned_it(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    pixels = np.zeros((40, 64, 4), dtype=np.uint8)
    pixels[:, :32, 0] = 200
    pixels[..., 3] = 255
    heif.from_pillow(Image.fromarray(pixels[..., :3])).save(tmp_path / "a.heic", quality=95)
    assert np.abs(read_image(tmp_path / "a.heic").astype(int) - pixels[..., :3]).mean() < 4
    pixels[:10, :, 3] = 0
    heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "b.heic", quality=-1)
    visible = read_picture(tmp_path / "b.heic").visible
    assert visible is not None and not visible[:9].any() and visible[11:].all()
    (tmp_path / "c.heic").write_bytes((tmp_path / "a.heic").read_bytes()[:300])
    with pytest.raises(SegplugError, match=r"c\.heic: not a readable image"):
        read_image(tmp_path / "c.heic")


def test_raw_photos_are_developed(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "a.dng").write_bytes(b"II*\0 no raw")
    with pytest.raises(SegplugError, match=r"a\.dng: not a readable raw photo"):
        read_image(tmp_path / "a.dng")
    assert np.ptp(read_image(mosaic(tmp_path / "b.dng")).mean(axis=(0, 1))) < 40


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"x")
    with pytest.raises(SegplugError, match=r"a\.heic: reading it needs pillow_heif: pip install 'yoloplug\[heif\]'"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".gif"])
@pytest.mark.parametrize("turn", [1, 6])
def test_transparent_pixels_are_not_visible(tmp_path: Path, suffix: str, turn: int) -> None:
    pixels = np.full((20, 40, 4), 255, dtype=np.uint8)
    pixels[:, :15, 3] = 0
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = turn
    picture.save(tmp_path / f"a{suffix}", **({} if suffix == ".gif" else {"exif": exif}))
    image, visible = read_picture(tmp_path / f"a{suffix}")
    assert visible is not None and visible.shape == image.shape[:2]
    assert np.array_equal(visible, np.rot90(pixels[..., 3] > 0, 3 if turn == 6 and suffix != ".gif" else 0))
    pixels[..., 3] = 1
    Image.fromarray(pixels).save(tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png").visible is None


def test_pages_are_counted_without_smaller_copies(tmp_path: Path) -> None:
    pages = [Image.new("L", (8, 8), shade) for shade in (0, 100, 200)]
    for name in ("a.tif", "a.gif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        assert further_pages(tmp_path / name) == 2
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as tiff:
        tiff.write(np.zeros((64, 64), np.uint8), subifds=1)
        tiff.write(np.zeros((32, 32), np.uint8), subfiletype=1)
    pages[0].save(tmp_path / "one.png")
    assert further_pages(tmp_path / "pyramid.tif") == further_pages(tmp_path / "one.png") == 0


def test_huge_images_are_refused_by_their_head(tmp_path: Path) -> None:
    for side in (30000, 60000):
        head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + head
        body = struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        data = b"IDAT" + zlib.compress(b"\0" * 100)
        body += struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        with pytest.raises(SegplugError, match=rf"a\.png: {side}x{side} pixels, more than 536870912 \(2\^29\)"):
            read_image(tmp_path / "a.png")


def mosaic(path: Path) -> Path:
    """The smallest DNG: a grey Bayer mosaic of 16 bits."""
    camera = [(1, 1), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1), (1, 1)]
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),  # DNG version
        (50708, "s", 0, "Drawn", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50721, "2i", 9, tuple(v for pair in camera for v in pair), True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
        (50778, "H", 1, 21, True),
    ]
    tifffile.imwrite(path, np.full((64, 64), 20000, np.uint16), photometric=32803, extratags=tags)
    return path
