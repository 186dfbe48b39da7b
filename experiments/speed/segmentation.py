"""Does segplug keep the pace of a bare loop? `python -m experiments.speed.segmentation`.

training: images a second of `segplug.train` beside a loop of forward, loss, backward and AdamW over the same loader,
epochs by turns. thresholds: ODS, OIS and AP beside the evaluation loop of the crack literature, which compares all
pixels at each threshold, once for ODS and once for OIS (as DeepSegmentor's eval/prf_metrics.py and its descendants).
memory: a tile with and without the freed memory of the one before it.
raster: a georeferenced TIFF, predicted window by window, beside the network's own share of that time on the same tiles,
and the most memory above what the network needs. One process, one thread, CPU time, so that other work on the machine
counts little. Writes experiments/results/speed/segmentation.json and the table of docs/speed.md.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from experiments.speed.blocks import take_turns
from experiments.speed.results import record
from segplug.data.dataset import CrackDataset
from segplug.data.drawn import draw_folder, draw_scene
from segplug.data.mixed import MixedDataset
from segplug.data.readers import open_data
from segplug.inference.memory import keep_freed_memory
from segplug.inference.predictor import Predictor, load
from segplug.inference.probability import fast_layout, normalise
from segplug.losses import LossSum
from segplug.metrics.counts import Counts, count, f1
from segplug.metrics.curve import CurveSum
from segplug.models.create import create_model
from segplug.models.preprocessing import preprocessing_of
from segplug.prediction import run as prediction
from segplug.training.config import TrainConfig
from segplug.training.crops.crop import TrainCrop
from segplug.training.loaders import train_loader
from segplug.training.run import train

BATCH, CROP = 8, 256
QUESTIONS = ("training", "thresholds", "memory", "raster")
Row = dict[str, Any]


def training(images: int, rounds: int, folder: Path) -> Row:
    """Epochs of `images` drawn scenes; the first of each kind warms up and does not count."""
    draw_folder(folder / "scenes", images, size=320)
    config = TrainConfig(str(folder / "scenes"), val_split=0, batch=BATCH, crop=CROP, epochs=rounds + 1, device="cpu")
    samples = open_data(config).samples("train")
    dataset = MixedDataset([CrackDataset(samples, TrainCrop(CROP), 0)])
    model = fast_layout(create_model("gbcnet").train(), torch.device("cpu"))
    optimizer, loss_of = torch.optim.AdamW(model.parameters(), lr=1e-3), LossSum(config.loss)

    def bare(epoch: int) -> float:
        loader = train_loader(dataset, config, 0, pin=False)
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        begin = time.process_time()
        for pixels, masks in loader:
            loss = loss_of(model(normalise(pixels, preprocessing_of(model))), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return time.process_time() - begin

    class Clock(L.Callback):
        """CPU seconds of each epoch of segplug, and of a bare one after it."""

        def __init__(self) -> None:
            self.ours: list[float] = []
            self.theirs: list[float] = []

        def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            self.begin = time.process_time()

        def on_train_batch_end(self, trainer: L.Trainer, *args: Any, **more: Any) -> None:
            if trainer.is_last_batch:
                self.ours.append(time.process_time() - self.begin)

        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            self.theirs.append(bare(trainer.current_epoch))

    clock = Clock()
    train(replace(config, out=str(folder / "run")), [clock])
    shares = [theirs / ours for ours, theirs in zip(clock.ours[1:], clock.theirs[1:], strict=True)]
    steps = len(samples) // BATCH
    return {
        "question": "training",
        "what": f"gbcnet, {steps} steps of {BATCH} crops of {CROP} px an epoch",
        "ratio": round(statistics.median(shares), 3),
        "ratios": [round(share, 3) for share in shares],
        "images_s": round(steps * BATCH / statistics.median(clock.ours[1:]), 2),
    }


def thresholds(side: int, images: int) -> Row:
    """Both on the same maps; the scores are compared."""
    rng = np.random.default_rng(0)
    maps = []
    for _ in range(images):
        target = rng.random((side, side)) < 0.05
        maps.append(
            (rng.beta(0.3, 3, (side, side)).astype(np.float32) * np.where(target, 1, 0.7).astype(np.float32), target)
        )

    def by_histogram() -> list[float]:
        total = CurveSum()
        for probability, target in maps:
            total.add(probability.ravel(), target.ravel())
        found = total.scores()
        return [found["ods_f1"], found["ois_f1"]]

    def by_loop() -> list[float]:
        ods = max(f1(sum((loop_counts(p, t, level) for p, t in maps), Counts())) for level in _LEVELS)
        best = [max((loop_counts(p, t, level) for level in _LEVELS), key=f1) for p, t in maps]
        return [ods, f1(sum(best, Counts()))]

    def by_counts() -> None:
        for probability, target in maps:
            for level in _LEVELS:
                count(probability >= level, target)

    np.testing.assert_allclose(by_histogram(), by_loop(), rtol=1e-12)
    ways = {"histogram": by_histogram, "loop": by_loop, "counts": by_counts}
    ours, theirs, lean = map(statistics.median, take_turns(ways, 5).values())
    return {
        "question": "thresholds",
        "what": f"{images} maps of {side} x {side} px, 99 thresholds",
        "ratio": round(theirs / ours, 1),
        "lean_ratio": round(lean / ours, 1),
        "ms_an_image": round(1e3 * ours / images, 2),
    }


_LEVELS = [k / 100 for k in range(1, 100)]


def loop_counts(probability: np.ndarray, target: np.ndarray, level: float) -> Counts:
    """One step of the loop: both pictures as uint8, four comparisons of all pixels."""
    predicted, labelled = (probability >= level).astype(np.uint8), target.astype(np.uint8)
    return Counts(
        int(np.sum((predicted == 1) & (labelled == 1))),
        int(np.sum((predicted == 1) & (labelled == 0))),
        int(np.sum((predicted == 0) & (labelled == 1))),
    )


def memory(tile: int, runs: int) -> Row:
    """A tile with glibc's own thresholds, then with `predict`'s, which stay for the rest of the process."""
    model, image = load("cracks-drawn", "cpu"), draw_scene(0, tile)[0]
    seconds = []
    for prepare in (lambda: None, keep_freed_memory):
        prepare()
        model(image)
        spent = []
        for _ in range(runs):
            begin = time.process_time()
            model(image)
            spent.append(time.process_time() - begin)
        seconds.append(statistics.median(spent))
    return {
        "question": "memory",
        "what": f"a tile of {tile} px at three sizes",
        "ratio": round(seconds[0] / seconds[1], 2),
        "default_s": round(seconds[0], 2),
        "kept_s": round(seconds[1], 2),
    }


class Stopwatch:
    """A network's CPU time. After `most` inputs, and for shapes seen before, its answers are repeated."""

    def __init__(self, network: Callable[[np.ndarray], np.ndarray], most: int) -> None:
        self.network, self.most, self.answers = network, most, dict[tuple[int, ...], np.ndarray]()
        self.inputs = self.asked = self.pixels = self.asked_pixels = 0
        self.asked_s = self.inside_s = 0.0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        begin, pixels = time.process_time(), image.shape[0] * image.shape[1]
        if self.asked < self.most or image.shape not in self.answers:
            self.answers[image.shape] = self.network(image)
            self.asked, self.asked_pixels = self.asked + 1, self.asked_pixels + pixels
            self.asked_s += time.process_time() - begin
        found = self.answers[image.shape].copy()
        self.inputs, self.pixels = self.inputs + 1, self.pixels + pixels
        self.inside_s += time.process_time() - begin
        return found

    @property
    def whole_s(self) -> float:
        """What the network would have taken for all inputs, by their pixels."""
        return self.asked_s / self.asked_pixels * self.pixels


def raster(side: int, inputs: int, folder: Path) -> Row:
    """An image of drawn scenes, (side, side) px; masks and overlays are written. inputs: seen by the network itself."""
    source = folder / "wall.tif"
    _write_raster(source, side)
    model = load("cracks-drawn", "cpu")
    watch = Stopwatch(model.network, inputs)

    def load_watched(path: Path | str, device: str = "auto") -> Predictor:
        return replace(model, network=watch)

    keep_freed_memory()
    model(draw_scene(0, 1024)[0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prediction.load = load_watched
    try:
        begin = time.process_time()
        prediction.predict("cracks-drawn", source, folder / "found", device="cpu")
        others = time.process_time() - begin - watch.inside_s
    finally:
        prediction.load = load
    above = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    asked = "" if watch.asked == watch.inputs else f", the network on {watch.asked} of {watch.inputs} inputs"
    return {
        "question": "raster",
        "what": f"{side} x {side} px, tiles of 1024 px at three sizes{asked}, masks and overlays",
        "ratio": round(watch.whole_s / (watch.whole_s + others), 3),
        "mib_above_the_network": round(above),
        "mpx_s": round(side**2 / (watch.whole_s + others) / 1e6, 3),
    }


def _write_raster(path: Path, side: int) -> None:
    import rasterio

    scene = draw_scene(1, 512)[0].transpose(2, 0, 1)
    place = rasterio.transform.from_origin(500_000, 5_000_000, 0.001, 0.001)
    shape = {"width": side, "height": side, "count": 3, "dtype": "uint8"}
    blocks = {"tiled": True, "blockxsize": 512, "blockysize": 512}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:25832", transform=place, **shape, **blocks) as file:
        for top in range(0, side, 512):
            for left in range(0, side, 512):
                h, w = min(512, side - top), min(512, side - left)
                file.write(scene[:, :h, :w], window=rasterio.windows.Window(left, top, w, h))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, metavar="QUESTION")
    parser.add_argument("--side", type=int, default=20_000, help="of the raster, px")
    parser.add_argument("--inputs", type=int, default=10**9, help="of the raster, that the network itself sees")
    parser.add_argument("--images", type=int, default=64, help="scenes of a training epoch")
    parser.add_argument("--rounds", type=int, default=5, help="epochs that count")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for question in args.only or QUESTIONS:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            if question == "training":
                rows.append(training(args.images, args.rounds, folder))
            elif question == "thresholds":
                rows.append(thresholds(1024, 4))
            elif question == "memory":
                rows.append(memory(1024, args.rounds))
            else:
                rows.append(raster(args.side, args.inputs, folder))
        rows[-1]["load"] = round(os.getloadavg()[0], 1)
        print(rows[-1], flush=True)
    record("segmentation", rows, lambda row: row["question"])


if __name__ == "__main__":
    main()
