"""`segplug measure`."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command, add_place_flags, called, note
from segplug.errors import FilesFailed

EXAMPLE = "segplug measure found/masks --images photos --mm-per-px 0.4 --out report"
SCALES = (
    ("mm_per_px", "known: millimetres a pixel"),
    ("reference_px", "an object's length in the picture, with --reference-mm"),
    ("reference_mm", "its true length"),
    ("focal_mm", "camera at right angles: focal length, with --sensor-width-mm and --distance-mm"),
    ("sensor_width_mm", "width of the sensor; 36 with a 35-mm-equivalent focal length"),
    ("distance_mm", "from lens to wall"),
)


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "Measure length, width and direction of each crack in masks: CSV, JSON, pictures and an HTML report."
    p = add_command(commands, "measure", about, EXAMPLE)
    p.add_argument("masks", type=Path, nargs="?", help="mask, folder of masks, or what `segplug predict` wrote")
    p.add_argument(
        "--out", type=Path, help="folder for report.html, measurements.csv and .json, images.csv, annotated/"
    )
    p.add_argument("--images", type=Path, help="photo or folder of photos with the masks' names, as background")
    add_place_flags(p, "in every mask")
    p.add_argument("--mask-values", help="values of background and crack in the masks, such as 255/0")
    p.add_argument("--crack-values", help="class ids in the masks that are crack, such as 1,2")
    p.add_argument("--ignore-value", type=int, help="value in the masks of pixels without label")
    p.add_argument("--min-length-px", type=float, default=20.0, help="shorter pieces are left out, and counted")
    p.add_argument(
        "--join-px", type=float, default=12.0, help="pieces in line with gaps up to this long are one crack; 0: none"
    )
    p.add_argument(
        "--bias", type=Path, metavar="SCORES", help="scores of the masks' model by `segplug eval --out`, for the report"
    )
    p.add_argument("--self-check", action="store_true", help="print the errors on drawn cracks instead; minutes")
    scale = p.add_argument_group("scale, exactly one of")
    for name, text in SCALES:
        scale.add_argument("--" + name.replace("_", "-"), type=float, metavar="NUMBER", help=text)
    scale.add_argument("--px-only", action="store_true", help="no millimetres")
    p.set_defaults(run=_run, fail=p.error)


def _run(args: argparse.Namespace) -> None:
    from segplug.data.labels.mask_encoding import MaskRules
    from segplug.measurement.accuracy.table import accuracy_table
    from segplug.measurement.bias import ModelBias
    from segplug.measurement.folder import measure_folder
    from segplug.measurement.scale import Scale

    if args.self_check:
        print(accuracy_table(note=note))
        return
    if args.masks is None or args.out is None:
        args.fail("the masks and --out DIR are needed")
    scale = Scale(**{name: getattr(args, name) for name, _ in SCALES}, px_only=args.px_only)
    bias = None if args.bias is None else ModelBias.read(args.bias)
    rules = MaskRules.parse(args.mask_values, args.crack_values, args.ignore_value)
    run = called(measure_folder, args, source=args.masks, scale=scale, rules=rules, bias=bias, note=note)
    cracks, masks = sum(len(mask.cracks) for _, mask in run.measured), len(run.measured)
    print(f"{cracks} crack{'s' * (cracks != 1)} in {masks} mask{'s' * (masks != 1)}; open {args.out / 'report.html'}")
    if run.failed:
        reasons = "; ".join(reason for _, reason in run.failed)
        total = len(run.measured) + len(run.failed)
        raise FilesFailed(f"{len(run.failed)} of {total} masks failed, the rest is in {args.out}: {reasons}")
