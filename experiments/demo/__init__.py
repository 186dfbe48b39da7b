"""The demo: two small drawn data sets, baseline and plug-in on each, one report. Minutes on two cores, no download."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["run_demo"]

_DETECT = """\
# Demo: coloured shapes on textured ground, yolov8n against gnConv in its backbone's C2f, from scratch.
name: demo-shapes
task: detect
models: [yolov8n.yaml, yolov8n-C2f_gnConv.yaml]
datasets: {shapes: shapes}
seeds: [0]
budget: {epochs: 12, imgsz: 128, batch: 8, device: cpu, threads: 2}
train: {optimizer: AdamW, lr0: 0.002, nbs: 8, warmup_epochs: 1.0, mosaic: 0.0, close_mosaic: 0}
"""
_SEGMENT = """\
# Demo: cracks on textured concrete, a U-Net decoder against the GBC decoder on one light encoder, from scratch.
name: demo-cracks
task: segment
models:
  - {model: unet, encoder: tu-mobilenetv3_small_050}
  - {model: gbcnet, encoder: tu-mobilenetv3_small_050}
datasets: {cracks: cracks}
seeds: [0]
budget: {epochs: 12, imgsz: 128, batch: 8, device: cpu, workers: 0, threads: 2}
"""


def run_demo(out: Path, say: Callable[[str], None] = print) -> tuple[Path, int]:
    """Draw, train, report into `out`; the report's path and the number of failed cells. Run again, it only reports."""
    out = out.resolve()
    _keep_ultralytics_to_itself(out / "ultralytics")
    from experiments.demo.cracks import draw_cracks
    from experiments.demo.shapes import draw_shapes
    from experiments.report import write_report
    from experiments.run import run

    start, data = time.monotonic(), out / "data"
    draw_shapes(data / "shapes")
    draw_cracks(data / "cracks")
    say(f"drawn: {data}")
    failed, folders = 0, []
    for name, text in (("shapes", _DETECT), ("cracks", _SEGMENT)):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.yaml").write_text(text, encoding="utf-8")
        failed += run(folder / "spec.yaml", data, folder, say)
        folders.append(folder)
    report = write_report(folders, out)
    say(f"{(time.monotonic() - start) / 60:.1f} min in all; the report: {report}")
    return report, failed


def _keep_ultralytics_to_itself(config: Path) -> None:
    """Its settings and font go into the demo's own folder, unless the user has named a place; nothing is downloaded.

    Ultralytics fetches Arial.ttf before any training, so matplotlib's own sans serif is put under that name.
    """
    os.environ.setdefault("YOLO_OFFLINE", "true")
    if "YOLO_CONFIG_DIR" in os.environ:
        return
    os.environ["YOLO_CONFIG_DIR"] = str(config)
    from matplotlib import get_data_path

    font = config / "Ultralytics" / "Arial.ttf"
    font.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", font)
