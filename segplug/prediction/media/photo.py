"""One photo: its mask, overlay, probabilities, outlines and COCO annotations."""

import numpy as np

from segplug.data.images.reading import Picture, further_pages, read_picture
from segplug.data.images.writing import write_picture
from segplug.draw import draw_overlay
from segplug.errors import SegplugError, UnreadableError
from segplug.prediction.formats.coco import crack_annotations
from segplug.prediction.formats.geojson import feature_collection
from segplug.prediction.formats.outlines import OutlineTracer
from segplug.prediction.job import Job, Result
from segplug.prediction.sources import Source
from yoloplug.files import write_json


def predict_photo(source: Source, job: Job) -> Result:
    """Transparent pixels are never crack. Raises UnreadableError on a file that is no image."""
    image, visible = _read(source)
    if pages := further_pages(source.path):
        job.note(f"{source.place}: the first of its {pages + 1} pages is read; save the others as files of their own")
    probability = job.probability(image, f"tiles of {source.path.name}")
    counted = job.region.kept(*probability.shape) if visible is None else visible & job.region.kept(*visible.shape)
    probability = np.where(counted, probability, np.float32(0))
    mask = probability >= job.threshold
    files = []
    if path := job.path("masks", source, ".png"):
        write_picture(path, mask.astype(np.uint8) * 255)
        files.append(path)
    if path := job.path("overlays", source, ".png"):
        write_picture(path, draw_overlay(image, mask))
        files.append(path)
    if path := job.path("probabilities", source, ".png"):
        write_picture(path, (probability * 65535).round().astype(np.uint16))
        files.append(path)
    if path := job.path("polygons", source, ".geojson"):
        tracer = OutlineTracer(mask.shape[1])
        tracer.add(mask)
        write_json(path, feature_collection(tracer.cracks()), indent=None)
        files.append(path)
    share = float(mask.sum() / max(1, counted.sum()))
    annotations = crack_annotations(mask, probability) if "coco" in job.save else []
    return Result(source, mask.shape, share, files, annotations)


def _read(source: Source) -> Picture:
    try:
        return read_picture(source.path)
    except (SegplugError, OSError) as error:
        raise UnreadableError(str(error)) from error
