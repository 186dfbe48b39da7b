"""A whole drawn photograph: surface, distractors, cracks, light, camera."""

import cv2
import numpy as np

from segplug.arrays import Pixels
from segplug.data.drawn.crack_lines import crack_lines, net_lines
from segplug.data.drawn.crack_relief import carve
from segplug.data.drawn.distractors import distract
from segplug.data.drawn.noise import Field
from segplug.data.drawn.surface import lit, surface

CRACK_FREE = 0.18
WIDTHS_PX = (0.9, 16.0)


def draw_scene(seed: int, size: int = 384) -> tuple[Pixels, Pixels]:
    """(size, size, 3) RGB photo and (size, size) mask of 0 and 255. The same seed and size give the same pixels.

    About one scene in six shows no crack. Widths are log-uniform in WIDTHS_PX, so that hair cracks are as common as
    wide ones.
    """
    rng = np.random.default_rng([seed, size])
    photo, mask = surface(rng, size), np.zeros((size, size), bool)
    free = rng.random() < CRACK_FREE
    photo = distract(rng, photo, int(rng.choice([0, 1, 2], p=[0.15, 0.5, 0.35] if free else [0.5, 0.35, 0.15])))
    if not free:
        width = float(np.exp(rng.uniform(*np.log(WIDTHS_PX))))
        if rng.random() < 0.22:
            lines = net_lines(rng, size, min(width, 5.0))
        else:
            lines = [
                line for k in range(int(rng.choice([1, 2, 3], p=[0.65, 0.25, 0.1])))
                for line in crack_lines(rng, size, width if k == 0 else width * rng.uniform(0.2, 1))
            ]  # fmt: skip
        photo, mask = carve(rng, photo, lines)
    return _photographed(rng, lit(rng, photo)), mask.astype(np.uint8) * 255


def _photographed(rng: np.random.Generator, photo: Field) -> Pixels:
    """Exposed, out of focus or shaken a little, with the sensor's noise, as JPEG."""
    photo = np.clip(photo * rng.uniform(0.8, 1.2), 0, 1) ** np.float32(rng.uniform(0.8, 1.25))
    if rng.random() < 0.5:
        photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.3, 1.3))
    if rng.random() < 0.1:
        photo = cv2.filter2D(photo, -1, _shake(rng))
    if rng.random() < 0.35:  # cameras of drones and phones sharpen until every grain has a rim
        fine = photo - cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.7, 1.8))
        photo = photo + np.float32(rng.uniform(0.3, 2.5)) * fine
    noise = rng.standard_normal(photo.shape).astype(np.float32)
    photo = photo + np.float32(rng.uniform(0, 0.025)) * noise
    pixels = (255 * np.clip(photo, 0, 1) + 0.5).astype(np.uint8)
    if rng.random() < 0.7:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 97))]
        encoded = cv2.imencode(".jpg", pixels[..., ::-1], quality)[1]
        pixels = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(pixels)


def _shake(rng: np.random.Generator) -> Field:
    """(9, 9) kernel of a short straight movement."""
    kernel, angle = np.zeros((9, 9), np.float32), rng.uniform(0, np.pi)
    reach = rng.uniform(0.8, 3.5) * np.array([np.cos(angle), np.sin(angle)])
    a, b = (np.round(16 * (4 + s * reach)).astype(int).tolist() for s in (-1, 1))
    cv2.line(kernel, a, b, 1.0, 1, cv2.LINE_AA, 4)
    return kernel / kernel.sum()
