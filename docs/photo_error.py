"""How much larger is the standard error of a difference in crack IoU by photo than by image?

python docs/photo_error.py DEEPCRACK      # a folder with test/images and test/masks; half a minute

Any two of four predictors that need no training, on DeepCrack's 237 test images of 60 photos.
"""

import argparse
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from skimage.filters import threshold_otsu

from experiments.spec.photos import photos_by_rule
from experiments.statistics import image_samples

RULE = r"(.+?)(?:-\d+)?$"


def predictions(grey: np.ndarray) -> list[np.ndarray]:
    """Dark, darker than around, black hat, very dark."""
    smooth = cv2.GaussianBlur(grey, (5, 5), 0)
    local = cv2.adaptiveThreshold(smooth, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY_INV, 51, 12)
    hat = cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, np.ones((25, 25), np.uint8))
    return [smooth < threshold_otsu(smooth), local > 0, hat > 30, smooth < 70]


def measured(data: Path) -> dict[str, float]:
    """Pair of predictors -> standard error of their difference by photo in that by image."""
    names, counts = [], []
    for path in sorted((data / "test" / "images").iterdir()):
        truth = cv2.imread(str(next((data / "test" / "masks").glob(f"{path.stem}.*"))), 0) > 127
        found = predictions(cv2.imread(str(path), 0))
        counts.append([[(f & truth).sum(), (f | truth).sum()] for f in found])
        names.append(path.stem)
    photos = np.unique(list(photos_by_rule(RULE, names).values()), return_inverse=True)[1]
    errors = []
    for drawn in (np.arange(len(names)), photos):
        sums = np.einsum("bi,ipk->bpk", image_samples(drawn, 4000), np.array(counts, dtype=float))
        errors.append(sums[..., 0] / sums[..., 1])
    return {
        f"{a} and {b}": float(np.std(errors[1][:, a] - errors[1][:, b]) / np.std(errors[0][:, a] - errors[0][:, b]))
        for a, b in combinations(range(4), 2)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Error by photo in that by image, on DeepCrack.")
    parser.add_argument("data", type=Path)
    for pair, ratio in measured(parser.parse_args().data).items():
        print(f"predictors {pair}: {ratio:.2f}")


if __name__ == "__main__":
    main()
