"""A CSV list: columns image, mask and, if wanted, split and group; paths relative to the file."""

from pathlib import Path

from segplug.data.csv_table import columns, read_table
from segplug.data.labels import CrackFree, Label
from segplug.data.labels.mask_file import MaskFile
from segplug.data.readers.found import SPLIT_NAMES, Found
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.data.text_files import is_file
from segplug.errors import SegplugError


def recognises(path: Path) -> bool:
    return bool(_lists(path))


def read(path: Path, source: DataSource) -> Found:
    lists = [path] if path.is_file() else _lists(path)
    if len(lists) != 1:
        names = ", ".join(f.name for f in lists) or "none"
        raise SegplugError(f"{path}: wanted one CSV with columns image,mask, found {names}", "name the file as data")
    file, rules = lists[0], source.mask_rules()
    rows = read_table(file, ("image", "mask"))
    found = Found("CSV list")
    known = {alias: split for split, names in SPLIT_NAMES.items() for alias in names}
    seen: set[tuple[str, Path]] = set()
    for row in rows:
        where = f"{file}, line {row['line']}"
        split = known.get(row["split"].lower()) if "split" in row else "all"
        if split is None:
            raise SegplugError(f"{where}: split {row['split']!r}", "write train, val or test")
        if not row["image"]:
            raise SegplugError(f"{where}: no image", "fill or remove the row")
        image, mask = file.parent / row["image"], file.parent / row["mask"]
        samples = found.splits.setdefault(split, [])
        for kind, wanted in (("image", image), ("mask", mask)):
            if row[kind] and not is_file(wanted):
                text, remedy = f"{where}: no {kind} {wanted}", "correct the path or remove the row"
                found.lacks(f"no {kind}", text, remedy, split, wanted)
        if (split, image) in seen:
            text = f"{where}: {row['image']} is listed twice in {split}"
            found.lacks("double name", text, "remove a row", split, image)
            continue
        seen.add((split, image))
        label: Label = MaskFile(mask, rules) if row["mask"] else CrackFree(image)
        if is_file(image) and (not row["mask"] or is_file(mask)):
            samples.append(Sample(image.stem, image, label, group=row.get("group") or None))
    return found


def _lists(path: Path) -> list[Path]:
    files = [path] if path.is_file() and path.suffix.lower() == ".csv" else sorted(path.glob("*.csv"))
    return [file for file in files if {"image", "mask"} <= set(columns(file))]
