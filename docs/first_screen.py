"""README's picture: a wall measured, blood cells found, quality against latency.

segplug draw scenes --count 7 --seed 11 --size 768; segplug predict scenes/train/images --out found
segplug measure found --images scenes/train/images --mm-per-px 0.3 --out report
python docs/first_screen.py report/annotated/drawn011_000006.jpg BCCD/images/val/BloodImage_00014.jpg best.pt RESULTS

The wall is drawn by our own code, BCCD is under the MIT licence; RESULTS is a folder of rows (experiments/results/…).
"""

import argparse
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image
from ultralytics import YOLO

from experiments.report.comparison import compare
from experiments.report.figures.draw import draw_plots
from experiments.report.rows import read_run

HEIGHT = 720  # px


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("measured", "photo", "weights", "results"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("first-screen.jpg"))
    given = parser.parse_args()
    (found,) = YOLO(given.weights).predict(given.photo, conf=0.4, save=False, verbose=False)
    (comparison,) = compare([read_run(given.results)])
    plot = Image.open(BytesIO(draw_plots(comparison)["latency"].png))
    boxes = Image.fromarray(found.plot(line_width=2)[..., ::-1])
    panels = {
        "segplug: cracks found and measured": Image.open(given.measured),
        "yoloplug: boxes of a changed YOLO": boxes,
        "experiments: quality against latency": plot,
    }
    widths = [picture.width / picture.height for picture in panels.values()]
    figure, axes = plt.subplots(1, 3, figsize=(sum(widths) * HEIGHT / 180, 4.4), width_ratios=widths)
    for axis, (title, picture) in zip(axes, panels.items(), strict=True):
        axis.imshow(picture, interpolation="lanczos")
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    figure.tight_layout(pad=0.4)
    figure.savefig(given.out, dpi=150, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main()
