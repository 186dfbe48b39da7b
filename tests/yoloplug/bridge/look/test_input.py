"""What a network is given of a photo, and where it lies in it."""

import warnings
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from yoloplug.bridge.look import inside
from yoloplug.bridge.look.inside import _check_image, _covers, look_inside
from yoloplug.errors import YoloplugError


def test_the_photo_lies_under_the_input_as_the_predictor_laid_it():
    """100 x 60 pixels: stretched by RT-DETR, in the middle between bars elsewhere; classifiers crop."""
    rtdetr, filled = type("RTDETRPredictor", (), {})(), SimpleNamespace(scale_fill=True)
    photo, given = np.zeros((60, 100, 3), np.uint8), torch.zeros(1, 3, 64, 64)
    assert _covers(photo, given, "detect", rtdetr) == _covers(photo, given, "detect", filled) == (0, 0, 100, 60)
    assert _covers(photo, given, "detect", object()) == pytest.approx((0, -13 / 0.64, 100, 51 / 0.64))
    assert _covers(photo, given, "classify", object()) == pytest.approx((20, 0, 80, 60), abs=0.2)
    tall, given = np.zeros((100, 61, 3), np.uint8), torch.zeros(1, 3, 32, 64)
    assert _covers(tall, given, "detect", object()) == pytest.approx((-22 / 0.32, 0, 42 / 0.32, 100))  # 20 of 64: half
    odd, given = np.zeros((64, 39, 3), np.uint8), torch.zeros(1, 3, 64, 64)
    assert _covers(odd, given, "detect", object()) == pytest.approx((-12, 0, 52, 64))  # 12.5 before, 12.5 behind
    assert _covers(odd.transpose(1, 0, 2), given, "detect", object()) == pytest.approx((0, -12, 64, 52))
    top = 64 / 39 * 64 / 2 - 32
    assert _covers(odd, given, "classify", object()) == pytest.approx(
        (0, top / 64 * 39, 39, 64 - top / 64 * 39), abs=0.4
    )


def test_sizes_of_the_input_and_of_the_photo_have_their_ends(checkpoint, image, tmp_path, monkeypatch):
    """The photo's before anything unpacks it, and without a warning of its own."""

    def stop(file, trust):
        raise InterruptedError

    monkeypatch.setattr(inside, "create", stop)
    for imgsz, allowed in ((None, True), (32, True), (inside.IMGSZ, True), (31, False), (inside.IMGSZ + 1, False)):
        with pytest.raises(InterruptedError if allowed else YoloplugError):
            look_inside(checkpoint, image, imgsz)
    pixels = 60 * 100
    for most, allowed, unpacks in ((pixels, True, True), (pixels - 1, False, False)):
        monkeypatch.setattr(inside, "IMAGE_PX", most)
        monkeypatch.setattr(
            cv2, "imread", lambda name, unpacks=unpacks: np.zeros(1) if unpacks else pytest.fail("read")
        )
        with pytest.raises(
            InterruptedError if allowed else YoloplugError, match=None if allowed else "more than 5,999"
        ):
            look_inside(checkpoint, image)
    monkeypatch.setattr(inside, "IMAGE_PX", pixels)
    monkeypatch.setattr(cv2, "imread", lambda name: np.zeros(1))
    for most, allowed in (
        (pixels - 1, True),
        (pixels // 2 - 1, False),
    ):  # PIL warns above its limit, refuses at twice it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with warnings.catch_warnings(), pytest.raises(InterruptedError if allowed else YoloplugError):
            warnings.simplefilter("error")
            look_inside(checkpoint, image)


def test_formats_that_only_opencv_knows_and_cut_files(checkpoint, image, tmp_path):
    cv2.imwrite(str(tmp_path / "x.hdr"), np.ones((8, 8, 3), np.float32))
    _check_image(tmp_path / "x.hdr")
    (tmp_path / "cut.png").write_bytes(image.read_bytes()[:40])
    with pytest.raises(YoloplugError, match=r"cut\.png: not an image that OpenCV can read"):
        _check_image(tmp_path / "cut.png")


def test_the_photo_is_seen_as_the_predictor_saw_it(checkpoint, image, tmp_path, monkeypatch, log):
    """At the checkpoint's own size, in red, green, blue; nothing is written and only the fusion told on the way."""
    monkeypatch.chdir(tmp_path)
    seen = look_inside(checkpoint, image)
    assert seen.input.shape == (1, 3, 384, 640) and not seen.network.training
    assert np.array_equal(seen.image, cv2.imread(str(image))[..., ::-1]) and seen.names == {0: "crack", 1: "hole"}
    shrunk = cv2.resize(seen.input[0].permute(1, 2, 0).numpy(), (100, 60), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk * 255 - seen.image).mean() < 30
    assert log == ["yoloplug: 1 re-parameterisable blocks (DBB) became one Conv2d each"]
    assert not any(tmp_path.iterdir()) and not seen.network._forward_pre_hooks
    strict = look_inside(checkpoint, image, 64, conf=0.99)
    assert seen.outlines and not strict.outlines and seen.outlines[0][2] >= 0.25
