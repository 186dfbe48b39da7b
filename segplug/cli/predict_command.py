"""`segplug predict`."""

import argparse
from pathlib import Path
from typing import Any

from segplug.cli.parser import add_command, add_place_flags, called, note, numbers
from segplug.errors import SegplugError
from segplug.weights import DEFAULT, MODEL_SUFFIXES

EXAMPLE = "segplug predict photos --model runs/segplug/gbcnet/best.ckpt --out found --save masks,overlays,polygons"


def add(commands: Any) -> None:
    """Add the subcommand's parser."""
    about = "Find the cracks in photos, videos and georeferenced TIFFs of any size."
    p = add_command(commands, "predict", about, EXAMPLE, ())
    p.add_argument("sources", nargs="+", metavar="SRC", help="image, video or TIFF file, folder, or glob in quotes")
    p.add_argument(
        "--model",
        default=DEFAULT,
        metavar="MODEL",
        help="a name that `segplug models` lists, best.ckpt of a run, or what `segplug export` wrote",
    )
    p.add_argument("--out", type=Path, required=True, help="folder that gets a folder of each kind of result")
    p.add_argument(
        "--save",
        type=lambda text: text.split(","),
        default="masks,overlays",
        metavar="KINDS",
        help="some of masks,overlays,probabilities,polygons,coco: PNG of 0 and 255; photo with cracks in red; 16-bit "
        "PNG, 65535 is 1; GeoJSON; one coco.json with RLE",
    )
    p.add_argument(
        "--threshold", type=float, help="probability from which a pixel is crack; without: an exported model's own, 0.5"
    )
    p.add_argument("--tile", type=int, default=1024, help="larger images are cut into overlapping tiles of this side")
    p.add_argument("--flips", action="store_true", help="average over the image's mirror images: four times the work")
    p.add_argument(
        "--scales",
        type=numbers,
        metavar="FACTORS",
        help="average over the photo at these sizes, such as 1,0.5; without: the model's own, 1",
    )
    p.add_argument("--every", type=int, default=1, metavar="K", help="of a video, predict each K-th frame")
    p.add_argument("--overwrite", action="store_true", help="predict again what is finished in --out")
    add_place_flags(p, "everywhere")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    p.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from segplug.prediction import predict

    if misplaced := [source for source in args.sources if Path(source).suffix in MODEL_SUFFIXES]:
        raise SegplugError(f"{misplaced[0]} is a model; give it as --model {misplaced[0]}")

    rows = called(predict, args, note=note)
    print(f"{', '.join(args.save)} of {len(rows)} files are in {args.out}; a row of figures each in predictions.csv")
