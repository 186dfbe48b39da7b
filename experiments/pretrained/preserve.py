"""Every block of the catalogue, swapped with `preserve: true` into a trained yolov8n, before any training.

    python -m experiments.pretrained.preserve CELL --data DIR

For each block: the largest difference of the three maps that the detection head receives from the trained network's,
on sixteen real images, in training (statistics of the batch) and in inference, before and after `fuse()`; and COCO AP
on the images that the source was not trained on. The source is a finished detection cell, whose row says data split,
image size and protocol. Writes experiments/results/pretrained/preserve.json, row by row, and the table of
docs/preserve.md.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from experiments.evidence.scores import score_images
from experiments.metrics.coco_ap import CocoImages
from experiments.trainers.yolo.detect import coco_boxes
from experiments.trainers.yolo.detection_data import ground_truth, open_detection
from yoloplug import BLOCKS
from yoloplug.bridge.model import built, create
from yoloplug.bridge.training import quiet
from yoloplug.files import write_text
from yoloplug.hosts import ConvLike

Row = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
RESULT, PAGE = ROOT / "experiments/results/pretrained/preserve.json", ROOT / "docs/preserve.md"
STANDS_FOR = {"TransposedConv": "nn.Upsample", "HorStem": "Conv", "HorDownsample": "Conv"}
"""Blocks that are only a row -> the stock rows that they replace; all others go into every C2f."""
IMAGES, BATCH = 16, 32


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.pretrained.preserve", description=__doc__)
    parser.add_argument("cell", type=Path, help="folder of the source's finished cell, with row.json and train/weights")
    parser.add_argument("--data", type=Path, required=True, help="folder of its data set")
    parser.add_argument(
        "--only", nargs="+", choices=sorted(BLOCKS), default=sorted(BLOCKS), help="these blocks; the others' rows stay"
    )
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with quiet():
        measure(asked.cell, asked.data, asked.only)


def measure(cell: Path, data: Path, names: Sequence[str]) -> None:
    row = json.loads((cell / "row.json").read_text("utf-8"))
    split = row["split"] or {}
    opened = open_detection(data, split.get("val_share"), split.get("split_seed", 0))
    truth, sight = ground_truth(opened.val, opened.names), row["budget"]["imgsz"]
    source: nn.Module = create(cell / "train/weights/last.pt").model.float()
    x = pixels(opened.val[:: max(1, len(opened.val) // IMAGES)][:IMAGES], sight)
    expected = maps(source, x)

    def ap(network: nn.Module) -> float:
        found = predicted(cell, network, opened.val, row)
        return float(score_images(CocoImages.of(truth, found))["metrics"]["AP"] or 0)

    told = {
        "cell": row["cell"], "images": len(opened.val), "epochs": row["budget"]["epochs"], "imgsz": sight,
        "AP": ap(copy.deepcopy(source)), "largest": {mode: _largest(values) for mode, values in expected.items()},
        "dataset_hash": row["dataset_hash"], "torch": torch.__version__, "ultralytics": version("ultralytics"),
    }  # fmt: skip
    for name in names:
        network = changed(name, source, len(opened.names))
        own = maps(network, x)
        ways = Counter(module.mechanism() for module in network.modules() if isinstance(module, ConvLike))
        result = {
            "block": name,
            "starts": dict(ways),
            "params": sum(p.numel() for p in network.parameters()),
            "AP": ap(network),
            "off": {mode: _largest([a - b for a, b in zip(own[mode], expected[mode], strict=True)]) for mode in own},
        }
        record(told, result)
        print(json.dumps(result), flush=True)
    write_page()


def swapped(name: str, model: dict[str, Any]) -> dict[str, Any]:
    """The YAML's dict with the block in the place of all C2f, or of all the rows for which it stands."""
    model = copy.deepcopy(model)
    stock, option = STANDS_FOR.get(name, "C2f"), {"preserve": True}
    wide = 0
    for row in [*model["backbone"], *model["head"]]:
        if row[2] == stock:
            args = [wide, 2, 2] if stock == "nn.Upsample" else row[3]
            row[2:] = [name if name in STANDS_FOR else f"{stock}_{name}", [*args, option]]
        wide = row[3][0] if row[2] not in ("Concat", "nn.Upsample") else wide
    return model


def changed(name: str, source: Any, classes: int) -> nn.Module:
    """The network with the block, with the source's weights, as `YOLO(yaml).load(checkpoint)` gives it."""
    torch.manual_seed(0)
    network = built(swapped(name, source.yaml), "detect", classes)
    network.names = source.names
    network.load(source, verbose=False)
    return network


def maps(network: nn.Module, x: Tensor) -> dict[str, list[Tensor]]:
    """What the head receives: mode -> P3, P4, P5. The network is left as it is."""
    found = {}
    for mode in ("inference", "fused", "training"):
        own: Any = copy.deepcopy(network).train(mode == "training")
        if mode == "fused":
            own.fuse(verbose=False)
        seen: list[Tensor] = []
        own.model[-1].register_forward_pre_hook(lambda _, given, seen=seen: seen.extend(t.clone() for t in given[0]))
        with torch.no_grad():
            own(x)
        found[mode] = seen
    return found


def pixels(images: Sequence[Path], side: int) -> Tensor:
    """(N, 3, side, side) of RGB in [0, 1]."""
    read = [cv2.resize(np.asarray(cv2.imread(str(image))), (side, side)) for image in images]
    return torch.from_numpy(np.stack(read)[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255


def predicted(cell: Path, network: nn.Module, images: Sequence[Path], row: Row) -> list[dict[str, Any]]:
    """COCO result list, by the cell's own protocol."""
    yolo = create(cell / "train/weights/last.pt")
    yolo.model = network
    options: Row = {name: row["protocol"][name] for name in ("conf", "iou", "max_det")}
    options |= {"imgsz": row["budget"]["imgsz"], "device": "cpu", "verbose": False, "save": False}
    return coco_boxes(yolo.predict([str(image) for image in images], batch=BATCH, stream=True, **options))


def record(source: Row, row: Row) -> None:
    """Put the row into the file, which keeps the rows of other blocks from the same source."""
    known = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    kept = (
        [old for old in known.get("rows", []) if old["block"] != row["block"]] if known.get("source") == source else []
    )
    rows = sorted([*kept, row], key=lambda each: str(each["block"]).lower())
    lines = ",\n".join(map(json.dumps, rows))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    write_text(RESULT, f'{{"source": {json.dumps(source)},\n"rows": [\n{lines}\n]}}\n')


def write_page() -> None:
    """Fill the space between `<!-- table -->` and `<!-- end -->` of docs/preserve.md."""
    known = json.loads(RESULT.read_text("utf-8"))
    source, rows = known["source"], known["rows"]
    modes = ("inference", "fused", "training")
    lines = [
        "| block | starts | parameters | AP | off | inference | fused | training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        starts = "; ".join(f"{how} ({n})" if len(row["starts"]) > 1 else how for how, n in row["starts"].items())
        off = [f"{row['off'][mode]:.0e}" for mode in modes]
        cells = [row["block"], starts, f"{row['params']:,}", f"{row['AP']:.4f}", f"{row['AP'] - source['AP']:+.4f}"]
        lines.append(f"| {' | '.join([*cells, *off])} |")
    worst = {mode: max(row["off"][mode] for row in rows) for mode in modes}
    farthest = max(abs(row["AP"] - source["AP"]) for row in rows)
    lines += [
        "",
        f"Source: {source['cell']}, {source['epochs']} epochs at {source['imgsz']} px, AP **{source['AP']:.4f}** on "
        f"{source['images']} images held out. {len(rows)} blocks: AP at most {farthest:.4f} off; maps (largest value "
        f"{source['largest']['inference']:.3g} in inference, {source['largest']['training']:.3g} in training) at most "
        + ", ".join(f"{worst[mode]:.1e} ({mode})" for mode in modes)
        + f" off. torch {source['torch']}, ultralytics {source['ultralytics']}, one CPU thread.",
    ]
    text = PAGE.read_text("utf-8")
    before, rest = text.split("<!-- table -->\n")
    filled = "\n".join(["", *lines, "", ""])
    write_text(PAGE, f"{before}<!-- table -->\n{filled}{rest[rest.index('<!-- end -->') :]}")


def _largest(tensors: list[Tensor]) -> float:
    return max(float(tensor.abs().max()) for tensor in tensors)


if __name__ == "__main__":
    main()
