"""Go through the sources; finished ones are left alone, one that cannot be read does not stop the others."""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segplug.data.images.region import Region
from segplug.errors import FilesFailed, SegplugError, UnreadableError, check_threshold
from segplug.inference.memory import keep_freed_memory
from segplug.inference.predictor import load
from segplug.inference.tiling import check_tile
from segplug.notes import Note, Progress, silent
from segplug.prediction.formats.coco import dataset
from segplug.prediction.job import SAVED, Job, Result
from segplug.prediction.media.photo import predict_photo
from segplug.prediction.media.raster import is_raster, predict_raster
from segplug.prediction.media.video import predict_video
from segplug.prediction.records import Record, Records
from segplug.prediction.sources import Source, find_sources
from segplug.weights import licence_note
from yoloplug import files

DEFAULT_SAVE = ("masks", "overlays")


def predict(
    model: Path | str,
    sources: Path | str | Sequence[Path | str],
    out: Path | str,
    save: Sequence[str] = DEFAULT_SAVE,
    threshold: float | None = None,
    tile: int = 1024,
    flips: bool = False,
    scales: Sequence[float] | None = None,
    every: int = 1,
    overwrite: bool = False,
    device: str = "auto",
    recursive: bool = True,
    region: Sequence[str] = (),
    note: Note = silent,
) -> list[dict[str, str | float]]:
    """Write the results that `save` names into folders of `out`; return the rows of out/predictions.csv.

    model: checkpoint, exported network, or the name of a model in `segplug.weights.SHIPPED`. sources: files, folders,
    globs (see `find_sources`); images larger than `tile` px on a side are cut into overlapping tiles, georeferenced
    TIFFs are read and written window by window.
    save: masks (0 and 255), overlays, probabilities (16-bit, 65535 is 1), polygons (GeoJSON), coco (one coco.json).
    threshold: probability from which a pixel is crack; None takes the model's own. flips: average over mirror images.
    scales: average over the photo at these sizes, 1 being its own; None takes the model's.
    every: of a video, predict each `every`-th frame. recursive: also what lies in a folder's sub-folders, whose results
    lie in sub-folders of the same names. region: polygons to leave out (see `Region.parse`), never crack. What is
    finished in `out` with equal settings is left alone unless
    `overwrite`. Raises SegplugError on a bad setting or model, and FilesFailed, after the others are done, on sources
    that could not be read.
    """
    _check(save, threshold, tile, every)
    keep_freed_memory()
    paths = [sources] if isinstance(sources, (str, Path)) else list(sources)
    found = find_sources(paths, recursive, Path(out), note)
    if licence := licence_note(model):
        note(licence)
    predictor = load(model, device)
    predictor = predictor if scales is None else predictor.with_scales(scales)
    job = Job(
        predictor.with_flips() if flips else predictor,
        Path(out),
        tuple(kind for kind in SAVED if kind in save),
        predictor.threshold if threshold is None else threshold,
        tile,
        every,
        Region.parse(region),
        note,
    )
    settings: dict[str, Any] = {
        "model": predictor.digest,
        "threshold": job.threshold,
        "tile": tile,
        "flips": flips,
        "every": every,
        "scales": list(predictor.scales),
    }
    if job.region.polygons:
        settings["region"] = [[list(corner) for corner in polygon] for polygon in job.region.polygons]
    return _run(found, job, Records(job.out, settings, job.save, overwrite))


def _run(sources: list[Source], job: Job, records: Records) -> list[dict[str, str | float]]:
    before = [records.finished(source) for source in sources]  # first of all: it may refuse
    if kept := sum(record is not None for record in before):
        job.note(f"{kept} of {len(sources)} files are finished in {job.out} and left alone")
    places = {Path(source.name).parent for source in sources}
    for folder in {job.out, *(job.out / kind / place for kind in (*SAVED, "frames", "records") for place in places)}:
        files.remove_leftovers(folder)
    progress, failed = Progress(job.note, len(sources)), []
    done: list[Record] = []
    try:
        for source, record in zip(sources, before, strict=True):
            if record is not None:
                progress.skip()
                done.append(record)
                continue
            try:
                record = _finish(source, job, records)
            except UnreadableError as error:
                failed.append(str(error))
                progress.step(str(error))
                continue
            done.append(record)
            progress.step(f"{source.path.name}: {100 * float(record.row['crack_share']):.2f} % crack")
    finally:
        _summarise(records.all(), job)
    if failed:
        raise FilesFailed(
            f"{len(failed)} of {len(sources)} files failed, the rest is in {job.out}: {'; '.join(failed)}"
        )
    return [record.row for record in done]


def _finish(source: Source, job: Job, records: Records) -> Record:
    """Raises UnreadableError on a file that cannot be read, and on one whose results cannot take its name."""
    earlier = records.discard(source)
    try:
        return records.write(source, _predict(source, job), earlier)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UnreadableError(f"{source.path}: its name is too long for its results; shorten it") from error


def _predict(source: Source, job: Job) -> Result:
    if source.is_video:
        return predict_video(source, job)
    return predict_raster(source, job) if is_raster(source, job) else predict_photo(source, job)


def _summarise(records: list[Record], job: Job) -> None:
    if not records:
        return
    files.write_csv(job.out / "predictions.csv", list(records[0].row), (record.row for record in records))
    if with_coco := [record for record in records if "coco" in record.saved]:
        files.write_json(job.out / "coco.json", dataset(with_coco), indent=None)


def _check(save: Sequence[str], threshold: float | None, tile: int, every: int) -> None:
    if unknown := [kind for kind in save if kind not in SAVED]:
        raise SegplugError(f"unknown save {', '.join(map(repr, unknown))}; valid: {', '.join(SAVED)}")
    if not save:
        raise SegplugError(f"nothing to save; name some of {', '.join(SAVED)}")
    if threshold is not None:
        check_threshold(threshold)
    check_tile(tile)
    if every < 1:
        raise SegplugError(f"every must be at least 1, got {every}")
