"""Pictures of a result: the photo with its cracks marked, and a prediction against its label."""

import cv2
import numpy as np

from segplug.arrays import Mask, Pixels
from segplug.page.palette import CRACK, FALSE_ALARM, HIT, MISS, OUTCOMES, UNLABELLED, rgb

LONGEST_PX = 1280
STRIP_PX = 28


def draw_overlay(image: Pixels, mask: Mask) -> Pixels:
    """(H, W, 3) RGB photo with the mask's pixels tinted red."""
    drawn = image.copy()
    drawn[mask] = (0.4 * image[mask] + 0.6 * np.array(rgb(CRACK), dtype=np.float32)).astype(np.uint8)
    return drawn


def draw_comparison(image: Pixels, target: Mask, prediction: Mask, valid: Mask | None, iou: float) -> Pixels:
    """RGB picture: a legend, then photo, label and coloured prediction side by side, (H, W) each.

    Panels above 1280 px are shrunk.
    """
    label = np.where(target[..., None], np.uint8(255), np.uint8(0)).repeat(3, axis=2)
    compared = np.zeros_like(image)
    paint_outcomes(compared, target, prediction)
    if valid is not None:
        label[~valid] = compared[~valid] = rgb(UNLABELLED)
    panels = np.concatenate([shrunk(panel, LONGEST_PX) for panel in (image, label, compared)], axis=1)
    strip = np.zeros((STRIP_PX, panels.shape[1], 3), dtype=np.uint8)
    left = 6
    for text, colour in {f"IoU {iou:.3f}": "#ffffff", **OUTCOMES, "no label": UNLABELLED}.items():
        cv2.putText(strip, text, (left, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.45, rgb(colour), 1, cv2.LINE_AA)
        left += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0] + 14
    return np.concatenate([strip, panels], axis=0)


def paint_outcomes(pixels: Pixels, target: Mask, prediction: Mask) -> None:
    """Colour hits, misses and false alarms in an RGB picture, (H, W, 3); `target` and `prediction` are (H, W)."""
    pixels[target & prediction] = rgb(HIT)
    pixels[target & ~prediction] = rgb(MISS)
    pixels[prediction & ~target] = rgb(FALSE_ALARM)


def shrunk(picture: Pixels, longest_px: int) -> Pixels:
    """(H, W, 3) of at most this size a side."""
    h, w = picture.shape[:2]
    scale = longest_px / max(h, w)
    if scale >= 1:
        return picture
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
