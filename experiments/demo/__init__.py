"""The demo: two small drawn data sets, baseline and plug-in on each, one report. Minutes on two cores, no download."""

import os
import shutil
import subprocess
import sys
import threading
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
budget: {epochs: 8, imgsz: 128, batch: 8, device: cpu, threads: 1}
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
budget: {epochs: 10, imgsz: 128, batch: 8, device: cpu, workers: 0, threads: 1}
"""


def run_demo(out: Path, say: Callable[[str], None] = print) -> tuple[Path, int]:
    """Draw, train, report into `out`; the report's path and the number of specs with failed cells.

    Run again, it only reports.
    """
    out = out.resolve()
    _keep_ultralytics_to_itself(out / "ultralytics")
    from experiments.demo.cracks import draw_cracks
    from experiments.demo.shapes import draw_shapes
    from experiments.report import write_report
    from experiments.run.retime import retime

    start, data = time.monotonic(), out / "data"
    draw_shapes(data / "shapes")
    draw_cracks(data / "cracks")
    say(f"drawn: {data}\nnow four short trainings, about four minutes on two cores")
    folders = []
    for name, text in (("shapes", _DETECT), ("cracks", _SEGMENT)):
        folders.append(out / name)
        folders[-1].mkdir(parents=True, exist_ok=True)
        (folders[-1] / "spec.yaml").write_text(text, encoding="utf-8")
    failed = _run_side_by_side(folders, data, say)
    say("latency once more, with nothing beside it")
    for folder in folders:
        retime(folder, say)
    report = write_report(folders, out)
    say(f"{(time.monotonic() - start) / 60:.1f} min in all; the report: {report}")
    return report, failed


def _run_side_by_side(folders: list[Path], data: Path, say: Callable[[str], None]) -> int:
    """Each folder's spec in a process of one thread: two cores are used, and a busy one slows only its own half.

    Two OpenMP threads that wait for each other run ten times slower as soon as anything else wants a core.
    """
    source = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (source, os.environ.get("PYTHONPATH")) if part)
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    children, readers = [], []
    try:
        for folder in folders:
            command = [sys.executable, "-m", "experiments", "run", str(folder / "spec.yaml"), "--data-root", str(data)]
            child = subprocess.Popen(
                [*command, "--out", str(folder)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            children.append(child)
            readers.append(threading.Thread(target=_pass_on, args=(child, folder.name, say)))
            readers[-1].start()
        return sum(child.wait() != 0 for child in children)
    finally:
        for child in children:
            child.terminate()
        for reader in readers:
            reader.join()


def _pass_on(child: subprocess.Popen[str], name: str, say: Callable[[str], None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        say(f"{name} | {line.rstrip()}")


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
