"""A video: overlay and mask videos, and each frame's crack share."""

import csv
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from segplug.arrays import Mask, Pixels
from segplug.draw import draw_overlay
from segplug.errors import SegplugError, UnreadableError
from segplug.notes import Progress
from segplug.prediction.job import Job, Result
from segplug.prediction.sources import Source
from yoloplug.files import atomic_path

FALLBACK_FPS = 25.0


def predict_video(source: Source, job: Job) -> Result:
    """overlays/NAME.mp4 (MPEG-4), masks/NAME.mkv (FFV1, lossless, 0 and 255), frames/NAME.csv.

    Of `every` frames the first is predicted and kept; time runs as in the source. Both encoders want even sizes: an odd
    last column or row is cut off. Raises UnreadableError on a file without a readable frame.
    """
    capture = cv2.VideoCapture(str(source.path))
    fps = capture.get(cv2.CAP_PROP_FPS) or FALLBACK_FPS
    stated = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    progress = Progress(job.note, -(-stated // job.every), f"frames of {source.path.name}")
    table = job.out / "frames" / f"{source.name}.csv"
    targets = {table: "", job.path("overlays", source, ".mp4"): "mp4v", job.path("masks", source, ".mkv"): "FFV1"}
    shares: list[float] = []
    frame = 0
    image: Pixels | None = None
    with ExitStack() as stack:
        stack.callback(capture.release)
        parts = {path: stack.enter_context(atomic_path(path)) for path in targets if path is not None}
        writers: dict[str, cv2.VideoWriter] = {}
        rows = csv.writer(stack.enter_context(parts[table].open("w", newline="", encoding="utf-8")))
        rows.writerow(["frame", "time_s", "crack_share"])
        while capture.grab():
            if frame % job.every == 0:
                done, pixels = capture.retrieve()
                if not done:
                    break
                image = np.ascontiguousarray(pixels[..., ::-1], dtype=np.uint8)
                if not writers:
                    writers = {
                        code: _open(part, code, fps / job.every, image.shape, stack)
                        for path, part in parts.items()
                        if (code := targets[path])
                    }
                kept = job.region.kept(*image.shape[:2])
                mask = (job.probability(image) >= job.threshold) & kept
                shares.append(float(mask.sum() / max(1, kept.sum())))
                rows.writerow([frame, f"{frame / fps:.3f}", f"{shares[-1]:.6f}"])
                _write(writers, image, mask)
                progress.tick()
            frame += 1
        if image is None:
            raise UnreadableError(f"{source.path}: not a readable video; restore, convert or remove the file")
    if frame < stated:
        job.note(f"{source.path.name}: ends after {frame} of {stated} frames, the file may be cut off")
    files = [path for path in targets if path is not None]
    return Result(source, image.shape[:2], float(np.mean(shares)), files)


def _open(path: Path, code: str, fps: float, shape: tuple[int, ...], stack: ExitStack) -> cv2.VideoWriter:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (shape[1], shape[0]))
    if not writer.isOpened():
        raise SegplugError(f"{path}: OpenCV cannot write {code} video; install opencv-python with its FFmpeg")
    stack.callback(writer.release)
    return writer


def _write(writers: dict[str, cv2.VideoWriter], image: Pixels, mask: Mask) -> None:
    if "mp4v" in writers:
        writers["mp4v"].write(np.ascontiguousarray(draw_overlay(image, mask)[..., ::-1]))
    if "FFV1" in writers:
        writers["FFV1"].write(cv2.cvtColor(mask.astype(np.uint8) * 255, cv2.COLOR_GRAY2BGR))
