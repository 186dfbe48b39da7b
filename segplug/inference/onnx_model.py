"""Networks that `segplug export` wrote as ONNX, run by onnxruntime. Imports no torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from segplug.arrays import Floats, Pixels
from segplug.errors import SegplugError, first_line
from segplug.inference.stored import check_about, check_seal

PREFIX = "segplug."
"""Begins the names of our metadata entries; their values are JSON."""


class OnnxModel:
    """about: what was stored with the model (see `segplug.inference.export`)."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        onnxruntime = import_export_extra("onnxruntime")
        state = onnxruntime.capi.onnxruntime_pybind11_state
        self._path = path
        self._errors = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile,
                        state.NotImplemented, state.RuntimeException)  # fmt: skip
        check_seal(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=_providers(onnxruntime, device))
        except self._errors as error:
            reason = first_line(error)
            raise SegplugError(f"{path}: not a readable ONNX model ({reason}); export it again") from error
        entries = self._session.get_modelmeta().custom_metadata_map
        try:
            self.about: dict[str, Any] = {
                key.removeprefix(PREFIX): json.loads(value) for key, value in entries.items() if key.startswith(PREFIX)
            }
        except ValueError as error:
            raise SegplugError(f"{path}: its metadata is damaged ({error})", "export it again") from error
        ends = [[end.name for end in side] for side in (self._session.get_inputs(), self._session.get_outputs())]
        if not self.about or ends != [["images"], ["logits"]]:
            raise SegplugError(f"{path}: no model of `segplug export` (it lacks our metadata); export the checkpoint")
        check_about(path, self.about)

    def logits(self, images: Pixels) -> Floats:
        """(N, 3, H, W) RGB uint8 of any size -> (N, 1, H, W)"""
        try:
            return self._session.run(["logits"], {"images": images})[0]
        except self._errors as error:
            reason = first_line(error)
            raise SegplugError(f"{self._path}: onnxruntime fails on images {images.shape}: {reason}") from error

    def probability(self, image: Pixels) -> Floats:
        """(H, W, 3) RGB uint8 -> (H, W)"""
        logits = self.logits(np.ascontiguousarray(image.transpose(2, 0, 1))[None])[0, 0]
        return np.exp(-np.logaddexp(0, -logits))


def import_export_extra(name: str) -> Any:
    """onnx or onnxruntime. Raises SegplugError saying how to install it."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise SegplugError(f"{name} is not installed; pip install 'yoloplug[export]'") from error


def _providers(onnxruntime: Any, device: str) -> list[Any]:
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and not number.isdecimal()):
        raise SegplugError(f"unknown device {device!r} for ONNX; valid: auto, cpu, cuda, cuda:<number>")
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind == "cuda" and not has_cuda:
        raise SegplugError(f"device {device!r} asked for, but this onnxruntime has none; install onnxruntime-gpu")
    cuda = [("CUDAExecutionProvider", {"device_id": int(number or 0)})] if kind != "cpu" and has_cuda else []
    return [*cuda, "CPUExecutionProvider"]
