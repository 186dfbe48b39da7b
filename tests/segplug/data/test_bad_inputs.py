"""Bad data of every kind, each in a process of its own with limits: a clear line, never a traceback, hang or crash."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from segplug.cli import main

pytestmark = pytest.mark.slow

SECONDS, MORE_BYTES = 60, 3 << 30
Build = Callable[[Path], list[str]]  # writes into a folder; returns the arguments of `segplug check`
JUNK = bytes(range(256)) * 4
CASES: dict[str, Build] = {}


def run(arguments: list[str], log: Path) -> int:
    """Exit code of `segplug ARGUMENTS` in a fork; 255 for an exception that is not caught, below 0 for a signal."""
    child = os.fork()
    if child == 0:
        code = 255
        file = log.open("w", errors="backslashreplace")
        with file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (used + MORE_BYTES, used + MORE_BYTES))
            try:
                code = main(arguments)
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException as error:
                print(f"Traceback: {type(error).__name__}: {error}"[:2000])
        os._exit(code)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


def case(name: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        CASES[name] = build
        return build

    return add


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def pair(root: Path, image: bytes | None = None, mask: bytes | None = None, suffix: str = ".png") -> list[str]:
    """A photo and its mask in folders, one of them replaced by these bytes."""
    for kind, content in (("images", image), ("masks", mask)):
        file = photo(root / kind / "a.png")
        if kind == "masks":
            cv2.imwrite(str(file), np.eye(32, 48, dtype=np.uint8) * 255)
        if content is not None:
            file.unlink()
            file.with_suffix(suffix).write_bytes(content)
    return [str(root)]


def files(name: str, **contents: bytes | str) -> None:
    """A case of one text file beside good photos, for each content."""
    for what, content in contents.items():

        def build(root: Path, content: bytes | str = content) -> list[str]:
            photo(root / "images" / "a.png")
            content = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
            return [str(root)]

        CASES[f"{name} {what}"] = build


for text in ("", " ", "..", "no/such", "a\0b", "x" * 300, "/dev/null", "/dev/zero", "~nobody", "\ud800"):
    CASES[f"data {text[:9]!r}"] = lambda root, text=text: [text]

files(
    "list.csv",
    nul="image,mask\nimages/a.png\0,x\n",
    nul_in_name=b"image,mask\n\0\n",
    latin=b"image,mask\n\xe9.png,\n",
    dots="image,mask\n..,..\n",
    dot="image,mask\n.,\n",
    empty_name="image,mask\n,\n",
    none="image,mask\n",
    long_name="image,mask\n" + "x" * 5000 + ",\n",
    long_field="image,mask\n" + "x" * 300_000 + ",\n",
    quote='image,mask\n"images/a.png,\n' * 50,
    columns="image,mask," + ",".join(f"c{i}" for i in range(100_000)) + "\n",
    ragged="image,mask\nimages/a.png\n",
    split="image,mask,split\nimages/a.png,,\n",
    device="image,mask\nimages/a.png,/dev/zero\n",
    folder="image,mask\nimages,images\n",
)
DEEP = 100_000
SIZE = {"size": [32, 48]}
files(
    "data.yaml",
    itself="train: images\nnames: &a [*a]\n",
    bomb="a: &a [1,1,1,1,1,1,1,1,1,1]\n"
    + "".join(f"{c}: &{c} [{','.join(['*' + chr(ord(c) - 1)] * 10)}]\n" for c in "bcdefghij")
    + "train: images\nnames: *j\n",
    deep="train: images\nnames: " + "[" * DEEP + "]" * DEEP,
    tag="train: images\nnames: !!python/object/apply:os.system [true]\n",
    nul="train: images\0\nnames: [crack]\n",
    latin=b"train: images\nnames: [\xe9]\n",
    number="train: 5\nnames: [crack]\n",
    lists="train: [[images]]\nnames: [crack]\n",
    mapping="train: {a: b}\nnames: [crack]\n",
    nowhere="path: {a: b}\ntrain: images\nnames: [crack]\n",
    text="train: images\nnames: crack\n",
    none="train: images\nnames: []\n",
    keys="train: images\nnames: {a: crack}\n",
    twice="train: images\nnames: {0: crack, 0: wall}\n",
    up="train: ../..\nnames: [crack]\n",
    long="train: " + "x" * 5000 + "\nnames: [crack]\n",
    masks_up="train: images\nmasks_dir: ..\nnames: [crack]\n",
    masks_empty="train: images\nmasks_dir: ''\nnames: [crack]\n",
    masks_number="train: images\nmasks_dir: 3\nnames: [crack]\n",
    mapped="train: images\nmasks_dir: masks\nlabel_mapping: [1]\nnames: [crack]\n",
    mapped_far="train: images\nmasks_dir: masks\nlabel_mapping: {1: 99}\nnames: [crack]\n",
)


def coco(**changes: Any) -> str:
    about = {
        "images": [{"id": 1, "file_name": "a.png", "height": 32, "width": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]}],
        "categories": [{"id": 1, "name": "crack"}],
    }
    for path, value in changes.items():
        part, key = path.split("__")
        about[part][0][key] = value  # type: ignore[index]
    return json.dumps(about)


files(
    "all.json",
    deep='{"images": "annotations", "x": ' + "[" * DEEP + "]" * DEEP + "}",
    cut=coco()[:-20],
    nul=coco() + "\0",
)
for key, values in {
    "images__id": ([1], {}, None, 1.5),
    "images__file_name": ("", ".", "..", "../../..", "a\0b", "x" * 5000, 3, None, "/dev/zero", "\ud800"),
    "images__height": (-1, 0, "32", 1e308, 10**30, None, 31),
    "annotations__image_id": ([], {}, "x", 2),
    "annotations__category_id": ([], 7, None),
    "categories__name": (None, 5, []),
    "annotations__segmentation": (
        None, 5, "x", [], [[]], [5], [["a"] * 6], [[1, 1]], [[1e308] * 6], [[float("nan")] * 6],
        [[1e9, 0, 0, 1e9, 5, 5]], [[0.5] * 100_000], {}, SIZE, {**SIZE, "counts": "x"}, {**SIZE, "counts": "\u20ac"},
        {**SIZE, "counts": "o" * 10_000}, {**SIZE, "counts": [-5, 1541]}, {**SIZE, "counts": [1e9]},
        {**SIZE, "counts": [10**12]}, {"size": [10**6, 10**6], "counts": [10**12]}, {"size": "ab", "counts": []},
        {**SIZE, "counts": [[1536]]}, {**SIZE, "counts": {"a": 1}},
    ),
}.items():  # fmt: skip
    files("all.json", **{f"{key}={str(value)[:30]}{i}": coco(**{key: value}) for i, value in enumerate(values)})

for part, content in {"junk": JUNK, "nul": b"\0" * 50, "text": b"not a label"}.items():

    def mat(root: Path, content: bytes = content) -> list[str]:
        photo(root / "image" / "a.png")
        (root / "groundTruth").mkdir()
        (root / "groundTruth" / "a.mat").write_bytes(content)
        return [str(root)]

    CASES[f"groundTruth/a.mat {part}"] = mat

    def shapes(root: Path, content: bytes = content) -> list[str]:
        photo(root / "a.png")
        (root / "a.json").write_bytes(b'{"shapes": ' + content)
        return [str(root)]

    CASES[f"labelme {part}"] = shapes

files(
    "labels/a.txt",
    junk=JUNK,
    nul="0 0.1 0.1 0.2 0.2 0.3 0.3\0",
    infinite="inf 0.1 0.1 0.2 0.2 0.3 0.3",
    nan="nan 0.1 0.1 0.2 0.2 0.3 0.3",
    far="0 1e308 0 0 1e308 0 0",
    huge_class=f"{10**30} 0.1 0.1 0.2 0.2 0.3 0.3",
    many="0 " + "0.5 0.5 " * 300_000,
    underscore="0 1_0 0 0 1 0 0",
)


def png(width: int, height: int) -> bytes:
    """A head that promises more than there is."""
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 1000)))
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + body


for width, height in ((60000, 60000), (2**31 - 1, 1), (0, 5), (30000, 30000), (1, 200_000)):
    for where in ("image", "mask"):
        CASES[f"{where} PNG of {width}x{height}"] = lambda root, w=width, h=height, where=where: pair(
            root, **{where: png(w, h)}
        )
for suffix in (".jpg", ".png", ".tif", ".bmp", ".webp", ".gif", ".jp2", ".ppm", ".avif", ".heic", ".dng"):
    for kind in ("junk", "empty", "cut"):
        for where in ("image", "mask"):

            def build(root: Path, suffix: str = suffix, kind: str = kind, where: str = where) -> list[str]:
                content = {"junk": JUNK, "empty": b""}.get(kind)
                if content is None:
                    file = root.with_suffix(suffix)
                    source = ".png" if suffix in (".heic", ".dng") else suffix
                    Image.new("L" if where == "mask" else "RGB", (48, 32)).save(file.with_suffix(source))
                    content = file.with_suffix(source).read_bytes()
                    content = content[: len(content) * 2 // 3]
                return pair(root, **{where: content}, suffix=suffix)  # type: ignore[arg-type]

            CASES[f"{where} {kind} {suffix}"] = build

for flag, values in {
    "--mask-values": ("", "0", "0/0", "0/256", "a/b", "0/1/2", "-1/3"),
    "--crack-values": ("", "x", "300", "1,,2"),
    "--ignore-value": ("256", "-2", "x"),
    "--ignore": ("", "no/such", "/dev/null", "a\0b"),
    "--groups": ("", "no/such", "/dev/null", "/dev/zero", "a\0b", "/"),
    "--source-rule": ("(", "[", "*", "(?P<", "a{99999999999}"),
    "--classes": ("", ",", "x" * 10_000),
    "--data-format": ("cfd", "yolo", "coco", "csv", "semantic", "labelme"),
    "--json": ("/dev/null/x.json", "/dev/full", "/"),
}.items():
    for value in values:
        CASES[f"{flag} {value[:12]!r}"] = lambda root, flag=flag, value=value: [*pair(root), flag, value]


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Everything is imported before the forks."""
    main(["check", *pair(tmp_path_factory.mktemp("warm"))])
    yield


@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_in_one_clear_line(
    tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    log = tmp_path / "log.txt"
    code = run(["check", *CASES[name](root)], log)
    said = log.read_text(errors="replace")
    record_property("endings", {{0: "accepted", 1: "clear", 2: "clear", -9: "no answer"}.get(code, "traceback"): 1})
    assert code in (0, 1, 2), f"{code}: {said[-600:]}"
    assert "Traceback" not in said and said.strip()
    assert max(map(len, said.splitlines())) < 2500
