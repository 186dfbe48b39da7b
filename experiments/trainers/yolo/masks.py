"""Ultralytics' semantic and instance segmentation as baselines: data in its layout, masks out of its models.

    python -m experiments masks data cracks/ --out yolo/
    yolo semantic train model=yolo26n-sem.yaml data=yolo/data.yaml
    python -m experiments masks predict runs/semantic/train/weights/best.pt --data cracks/ --out found/
    segplug eval --predictions found/ --data cracks/

Masks are saved here because `yolo predict` only paints them over the photo.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from experiments.errors import SpecError
from segplug.cli.parser import note
from segplug.data.dataset import CrackDataset
from segplug.data.images.writing import write_picture
from segplug.data.readers import CrackData, open_data
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.data.split import train_val_samples
from yoloplug.bridge.model import create
from yoloplug.errors import YoloplugError
from yoloplug.files import write_text

CONFIDENCE = 0.25  # Ultralytics' own, of an instance


def write_data(source: CrackData | DataSource, out: Path, val_split: float = 0.1, seed: int = 0) -> Path:
    """Write out/{images,masks,labels}/{train,val,test}/ and out/data.yaml, which serves both tasks; return the YAML.

    Masks are class ids: 0 background, 1 crack, 255 no label. Labels hold an outline for each connected crack; they
    know no missing label. Without a val split one is held out as `segplug train` does with the same `val_split` and
    `seed`. Raises SegplugError on bad data and SpecError when `out` is not empty.
    """
    _new_folder(out)
    train, val = train_val_samples(source, val_split, seed, note)
    if not val:
        raise SpecError("val_split is 0: Ultralytics needs validation images; give --val-split 0.1")
    splits = {"train": train, "val": val}
    if "test" in (data := open_data(source)).splits:
        splits["test"] = data.samples("test")
    for split, samples in splits.items():
        _write_split(samples, split, out)
    about: dict[str, Any] = {"path": str(out.resolve()), **{split: f"images/{split}" for split in splits}}
    file = out / "data.yaml"
    about |= {"masks_dir": "masks", "names": {0: "crack"}}
    write_text(file, yaml.safe_dump(about, sort_keys=False, allow_unicode=True))
    return file


def _write_split(samples: Sequence[Sample], split: str, out: Path) -> None:
    dataset = CrackDataset(samples, note=note, cache_bytes=0)
    (out / "labels" / split).mkdir(parents=True)
    for i, sample in enumerate(samples):
        image, mask = dataset.arrays(i)
        write_picture(out / "images" / split / f"{sample.name}.png", image)
        write_picture(out / "masks" / split / f"{sample.name}.png", mask)
        lines = ["0 " + " ".join(f"{v:.7g}" for v in ring.ravel()) + "\n" for ring in outlines(mask == 1)]
        (out / "labels" / split / f"{sample.name}.txt").write_text("".join(lines), encoding="utf-8")


def outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """(H, W) -> for each 8-connected crack (N, 2) x and y from 0 to 1, through the centres of its border pixels.

    A hole is joined to the outer border by a cut, so that closed loops of cracks do not become plates.
    """
    found, nested = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [contour[:, 0].astype(np.float64) for contour in found]
    merged: dict[int, NDArray[np.float64]] = {}
    parents = [int(row[3]) for row in np.asarray(nested)[0]] if rings else []
    for number, parent in enumerate(parents):
        if parent < 0:
            merged[number] = rings[number]
    for number, parent in enumerate(parents):
        if parent >= 0:
            merged[parent] = _with_hole(merged[parent], rings[number])
    size = np.array(mask.shape[::-1])
    return [(_at_least_a_triangle(ring) + 0.5) / size for ring in merged.values()]


def _with_hole(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial import cKDTree

    away, nearest = cKDTree(inner).query(outer)
    i = int(np.argmin(away))
    j = int(nearest[i])
    return np.concatenate([outer[: i + 1], inner[j:], inner[: j + 1], outer[i:]])


def _at_least_a_triangle(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ultralytics drops shorter outlines: a line of pixels, or a single one, goes there and back."""
    return np.resize(ring, (4, 2)) if len(ring) < 3 else ring


def predict(
    weights: Path,
    source: CrackData | DataSource,
    out: Path,
    split: str = "test",
    confidence: float = CONFIDENCE,
    **options: Any,
) -> int:
    """Save out/NAME.png, 0 and 255, in the image's size, for every image of the split; return their number.

    options: of Ultralytics' predict, such as imgsz and device. Raises SegplugError on bad data, SpecError on weights
    of another task or several classes and when `out` is not empty.
    """
    _new_folder(out)
    model = _load(weights)
    dataset = CrackDataset(open_data(source).samples(split), note=note, cache_bytes=0)
    if model.task not in ("semantic", "segment") or len(model.names) != 1:
        classes = ", ".join(model.names.values())
        raise SpecError(f"{weights}: task {model.task}, classes {classes}; wanted: semantic or segment of crack alone")
    for i, sample in enumerate(dataset.samples):
        image = np.ascontiguousarray(dataset.arrays(i)[0][..., ::-1])
        (result,) = model.predict(image, conf=confidence, retina_masks=True, verbose=False, **options)
        write_picture(out / f"{sample.name}.png", crack_mask(result).astype(np.uint8) * 255)
    return len(dataset)


def _load(weights: Path) -> Any:
    if not weights.is_file() or weights.suffix != ".pt":
        raise SpecError(f"{weights}: no .pt file; `yolo semantic train` and `yolo segment train` write weights/best.pt")
    try:
        return create(weights)
    except YoloplugError as error:
        raise SpecError(str(error)) from error


def crack_mask(result: Any) -> NDArray[np.bool_]:
    """(H, W) of one image's Ultralytics `Results`: class 1 of the semantic map, or all instances together."""
    if result.semantic_mask is not None:
        return np.asarray(result.semantic_mask.data.cpu().numpy() == 1)
    if result.masks is None:
        return np.zeros(result.orig_shape, dtype=bool)
    return np.asarray(result.masks.data.cpu().numpy().astype(bool).any(axis=0))


def _new_folder(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SpecError(f"{out}: is there already; choose another folder, or remove it")
