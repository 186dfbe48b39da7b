"""Time opening data of many images in each layout: `segplug.data.readers.open_data`, which opens no picture.

Example: python -m experiments.speed.open_data --images 100000
prints seconds a layout; below a minute each is the promise. The empty files are made below --folder and removed again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from segplug.data.readers import open_data
from segplug.data.source import DataSource

OUTLINE = "0 0.1 0.1 0.2 0.1 0.2 0.2\n"


def folders(root: Path, names: list[str]) -> None:
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
        for name in names:
            (root / kind / f"{name}.png").touch()


def yolo(root: Path, names: list[str]) -> None:
    for kind, suffix, text in (("images", "jpg", ""), ("labels", "txt", OUTLINE)):
        (root / kind / "train").mkdir(parents=True)
        for name in names:
            (root / kind / "train" / f"{name}.{suffix}").write_text(text)


def semantic(root: Path, names: list[str]) -> None:
    folders(root, names)
    (root / "data.yaml").write_text("train: images\nmasks_dir: masks\nnames: [crack]\n")


def csv_list(root: Path, names: list[str]) -> None:
    folders(root / "in", names)
    (root / "list.csv").write_text("image,mask\n" + "".join(f"in/images/{n}.png,in/masks/{n}.png\n" for n in names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the files are made; without: the system's temporary folder")
    args = parser.parse_args()
    names = [f"wall_{i:07d}" for i in range(args.images)]
    for layout in (folders, yolo, semantic, csv_list):
        with tempfile.TemporaryDirectory(dir=args.folder) as root:
            layout(Path(root), names)
            start = time.perf_counter()
            data = open_data(DataSource(root))
            samples = sum(map(len, data.splits.values()))
            print(f"{layout.__name__:10} {samples} images {time.perf_counter() - start:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
