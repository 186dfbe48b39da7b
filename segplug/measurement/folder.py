"""Measure a mask file or a folder of masks, and write tables, pictures and the report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from segplug.arrays import Pixels
from segplug.data.images.reading import read_picture
from segplug.data.images.region import Region
from segplug.data.images.writing import write_picture
from segplug.data.labels.mask_encoding import MaskRules
from segplug.errors import SegplugError
from segplug.measurement.bias import ModelBias
from segplug.measurement.crack import MaskMeasurement
from segplug.measurement.mask import JOIN_PX, MIN_LENGTH_PX, check_length, measure_mask
from segplug.measurement.masks import Masks, find_masks
from segplug.measurement.report.page import Report, picture_data
from segplug.measurement.report.picture import draw_measurement, mask_background
from segplug.measurement.report.tables import Tables
from segplug.measurement.scale import Scale
from segplug.notes import Note, silent
from segplug.prediction.sources import find_sources
from yoloplug.files import WriteError, remove_leftovers, write_text


@dataclass(frozen=True)
class Run:
    """`measured`: name and result of each mask; `failed`: file and reason."""

    measured: tuple[tuple[str, MaskMeasurement], ...]
    failed: tuple[tuple[str, str], ...]


def measure_folder(
    source: Path | str,
    out: Path | str,
    scale: Scale,
    images: Path | str | None = None,
    min_length_px: float = MIN_LENGTH_PX,
    join_px: float = JOIN_PX,
    recursive: bool = True,
    rules: MaskRules | None = None,
    region: Sequence[str] = (),
    bias: ModelBias | None = None,
    note: Note = silent,
) -> Run:
    """Write out/measurements.csv, images.csv, measurements.json, report.html and annotated/NAME.jpg.

    source: a mask, a folder of masks, or a folder with masks/ in it, as `segplug predict` writes. images: photo or
    folder of photos of the same names, for the pictures' background; those without a mask are named in the report.
    recursive: masks in sub-folders too, whose results lie in sub-folders of the same names. rules: what the masks'
    values mean; without, each file is understood by itself. region: polygons to leave out (see `Region.parse`); what
    lies in them, and where a photo is transparent, is no crack. bias: of the model that made the masks, told in the
    report. A file that cannot be measured is in `failed`, the others are done all the same. What is measured is written
    as it goes, so that a full disk or Ctrl-C costs what follows only. Raises SegplugError when there is nothing to
    measure and, with what is kept, when a file cannot be written.
    """
    outside = Region.parse(region)
    files = find_masks(Path(source), recursive, Path(out), note)
    masks = Masks(files, rules or MaskRules(), note)
    photos = None if images is None else _photos(Path(images), files, recursive, Path(out), note)
    check_length("min_length_px", min_length_px)
    check_length("join_px", join_px)
    bare = [str(photo) for name, photo in (photos or {}).items() if name not in files]
    for photo in bare:
        note(f"{photo}: has no mask, not measured")
    out = Path(out)
    if out.is_file():
        raise SegplugError(f"{out}: is a file; name a folder")
    started = datetime.now().astimezone()
    about = {
        "source": str(source),
        "date": started.isoformat(timespec="seconds"),
        "scale": scale.describe(),
        "min_length_px": min_length_px,
        "join_px": join_px,
        "bias": None if bias is None else asdict(bias),
        "photos_without_mask": bare,
    }
    for folder in {out, *((out / "annotated" / name).parent for name in files)}:
        remove_leftovers(folder)
    tables, report = Tables(out, about, len(files)), Report(str(source), started, scale, min_length_px, join_px, bias)
    has_report = False
    try:
        try:
            for i, (name, file) in enumerate(files.items(), start=1):
                try:
                    mask = masks.read(name)
                    background = mask_background(mask) if photos is None else _background(name, file, mask, photos)
                    mask &= outside.kept(*mask.shape)
                    result = measure_mask(mask, scale.for_picture(mask.shape[1], mask.shape[0]), min_length_px, join_px)
                except (SegplugError, OSError) as error:
                    tables.fail(str(file), str(error))
                    note(f"{i}/{len(files)} {error}")
                    continue
                tables.add(name, result)
                drawn = draw_measurement(background, mask, result)
                write_picture(out / "annotated" / f"{name}.jpg", drawn)
                report.add(name, result, picture_data(drawn))
                note(f"{i}/{len(files)} {file.name}: {_in_words(result)}")
        finally:
            if tables.measured or not tables.not_reached:
                tables.write()
                missing = [reason for _, reason in tables.failed] + [f"{photo}: has no mask" for photo in bare]
                if tables.not_reached:
                    missing.append(f"stopped before {tables.not_reached} of {len(files)} masks; measure them again")
                write_text(out / "report.html", report.page(missing))
            has_report = True
    except WriteError as error:
        raise SegplugError(
            f"cannot write {error.path} ({error.cause}); of this run {out} has the tables of {tables.written} of "
            f"{len(files)} masks and {_in_words_of(out / 'report.html', has_report)}",
            "free disk space or choose another folder, then measure again",
        ) from error
    return Run(tuple(tables.measured), tuple(tables.failed))


def _in_words_of(report: Path, is_new: bool) -> str:
    """The report in words, after a disk was full."""
    return "their report.html" if is_new else "an earlier report.html" if report.exists() else "no report.html"


def _photos(images: Path, masks: dict[str, Path], recursive: bool, out: Path, note: Note) -> dict[str, Path]:
    """Name -> photo, named as `segplug predict` names its masks: a.jpg and a.png are a_jpg and a_png."""
    first = next(iter(masks))
    if images.is_file():
        if len(masks) > 1:
            raise SegplugError(f"{images}: one photo for {len(masks)} masks; give the folder of photos")
        return {first: images}
    sources = find_sources([images], recursive, out)
    for source in sources:
        if source.is_video:
            note(f"{source.path}: of videos `segplug predict` writes masks as a video, only pictures are measured")
    photos = {source.name: source.path for source in sources if not source.is_video}
    if not photos.keys() & masks.keys():
        raise SegplugError(f"{images}: no photo is named like a mask, such as {first}.*; leave --images out")
    return photos


def _background(name: str, file: Path, mask: Pixels, photos: dict[str, Path]) -> Pixels:
    """The photo. Where it is transparent, `mask` becomes 0."""
    if name not in photos:
        raise SegplugError(f"{file}: no photo {name}.* among the images; add it or leave --images out")
    photo, visible = read_picture(photos[name])
    if photo.shape[:2] != mask.shape:
        (h, w), (mh, mw) = photo.shape[:2], mask.shape
        raise SegplugError(
            f"{file}: mask is {mw}x{mh} but {photos[name].name} is {w}x{h}; resize one or leave --images out"
        )
    if visible is not None:
        mask &= visible
    return photo


def _in_words(result: MaskMeasurement) -> str:
    many = f"{len(result.cracks)} crack" + "s" * (len(result.cracks) > 1)
    if result.widest is None:
        found = "no crack"
    elif result.mm_per_px is None:
        found = f"{many}, {result.length_px:.0f} px long, widest {result.widest.max_width_px:.1f} px"
    else:
        found = f"{many}, {result.length_mm:.0f} mm long, widest {result.widest.max_width_mm:.2f} mm"
    return f"{found}; too short: {result.left_out_in_words()}" if result.left_out else found
