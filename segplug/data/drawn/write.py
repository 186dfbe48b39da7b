"""Drawn scenes as a folder that `segplug train --data` reads."""

from pathlib import Path

from segplug.data.drawn.scene import draw_scene
from segplug.data.images.writing import write_picture
from segplug.errors import SegplugError
from segplug.notes import Note, silent


def draw_folder(out: Path | str, count: int, seed: int = 0, size: int = 384, val: int = 0, note: Note = silent) -> Path:
    """out/train/{images,masks} with `count` scenes and out/val with `val` more; what is there already is kept.

    Scene k of a seed is the same whatever `count` is. Raises SegplugError on a number out of range.
    """
    if count < 1 or val < 0:
        raise SegplugError(f"count must be at least 1 and val 0 or more, got {count} and {val}")
    if not 64 <= size <= 4096:
        raise SegplugError(f"size must lie between 64 and 4096 px, got {size}")
    if not 0 <= seed < 1000:
        raise SegplugError(f"seed must lie between 0 and 999, got {seed}")
    for split, total, first in (("train", count, 0), ("val", val, 500_000)):
        for k in range(total):
            name = f"drawn{seed:03}_{first + k:06}.png"
            image, mask = (Path(out) / split / kind / name for kind in ("images", "masks"))
            if mask.exists():
                continue
            photo, label = draw_scene(1_000_000 * seed + first + k, size)
            for path, pixels in ((image, photo), (mask, label)):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_picture(path, pixels)
            if (k + 1) % 500 == 0:
                note(f"{split}: {k + 1} of {total} scenes")
    return Path(out)
