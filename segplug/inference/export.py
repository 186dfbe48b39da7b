"""Write a trained network to one file for other programs, and check that file against the checkpoint.

Input `images`: (N, 3, H, W) RGB uint8, normalised inside. Output `logits`: (N, 1, H, W); crack where their sigmoid
reaches the stored threshold.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from segplug.errors import SegplugError, check_threshold, first_line
from segplug.inference.checkpoint import load_mean, load_model
from segplug.inference.half import save_half
from segplug.inference.onnx_model import PREFIX, OnnxModel, import_export_extra
from segplug.inference.probability import image_logits
from segplug.inference.stored import EMPTY_SEAL, SEAL, seal
from segplug.inference.torch_model import ABOUT, load_exported
from segplug.models.preprocessing import preprocessing_of
from yoloplug.files import write

Format = Literal["onnx", "torchscript", "exported", "half"]
SUFFIXES = {"onnx": ".onnx", "torchscript": ".torchscript", "exported": ".pt2", "half": ".ckpt"}
TOLERANCE = 1e-4
HALF_TOLERANCE = 1e-2
STRIDE_PX = 32
OPSETS = (16, 20)
"""ONNX's from the first that has our operators (grid sampling) to the last that torch's tracer writes."""
CHECKED = ((2, 200, 170), (1, 64, 320))
"""(N, H, W) of the images that the written file is checked on; it was traced at another size."""


@dataclass(frozen=True)
class Exported:
    """difference: of probabilities, the largest on each of `sizes`, between the file and the checkpoint in torch."""

    path: Path
    sizes: tuple[tuple[int, int, int], ...]
    difference: tuple[float, ...]
    size_multiple_px: int


def export_model(
    checkpoint: Path | str | Sequence[Path | str],
    format: Format = "onnx",
    out: Path | str | None = None,
    opset: int = 18,
    threshold: float = 0.5,
    scales: Sequence[float] = (1,),
) -> Exported:
    """Write the network with any batch and image size, and compare it with the checkpoint on two sizes.

    checkpoint: of several, which went on from the same weights, the mean; one given twice counts twice. format: "onnx";
    "torchscript" (a trace); "exported" (torch.export's .pt2, whose sizes must divide by `size_multiple_px`; predict
    pads); "half" (a checkpoint of half the size, which knows its threshold). out: the checkpoint's name with another
    suffix by default. threshold: stored for those who use the file; scales too, with "half" alone: sizes that
    predictions are averaged over. Raises SegplugError on a network that cannot be exported for any size, and on a file
    that differs by more than TOLERANCE (half precision: HALF_TOLERANCE); it is not kept then.
    """
    if format not in get_args(Format):
        raise SegplugError(f"unknown format {format!r}; valid: {', '.join(get_args(Format))}")
    if tuple(scales) != (1,) and format != "half":
        raise SegplugError(f"a file of format {format} holds one size; leave scales out, or give --scales to predict")
    check_threshold(threshold)
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise SegplugError(f"opset must be from {OPSETS[0]} to {OPSETS[1]}, got {opset}", key=("opset",))
    sources = [Path(path) for path in ([checkpoint] if isinstance(checkpoint, Path | str) else checkpoint)]
    source = sources[0]
    default = source.with_name(f"{source.stem}-half.ckpt") if format == "half" else source.with_suffix(SUFFIXES[format])
    target = Path(out) if out is not None else default
    if target.suffix != SUFFIXES[format]:
        raise SegplugError(f"{target}: a file of format {format} is called {target.stem}{SUFFIXES[format]}")
    if format == "onnx":
        for name in ("onnx", "onnxruntime"):
            import_export_extra(name)
    network, trained = load_mean(sources)
    whole = _FromPixels(network).eval()
    about = {"size_multiple_px": 1} if format == "half" else _about(network, trained, format, threshold)
    differences: list[float] = []

    def fill(part: Path) -> None:
        if format == "half":
            save_half(network, trained, part, threshold, scales)
            written: Callable[[Tensor], Tensor] = _FromPixels(load_model(part)[0])
        else:
            _trace(lambda: _WRITERS[format](whole, part, about, opset), str(about["model"]), format)
            written = _onnx_logits(part) if format == "onnx" else load_exported(part)[0].logits
        differences.extend(_differences(whole, written, target, HALF_TOLERANCE if format == "half" else TOLERANCE))

    write(target, fill)
    return Exported(target, CHECKED, tuple(differences), about["size_multiple_px"])


class _FromPixels(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return image_logits(self.network, images)


def _about(network: nn.Module, trained: dict[str, Any], format: Format, threshold: float) -> dict[str, Any]:
    name = trained["model"]["name"]
    if name.lower() == "scsegamba":
        raise SegplugError(
            "scsegamba cannot be exported for any image size: Python works out anew for each size in which order, and "
            "in how many steps, its scan visits the pixels; predict with the checkpoint"
        )
    stride = max(STRIDE_PX, getattr(network, "multiple_px", 0))
    return {
        "model": name,
        "encoder": trained["model"]["encoder"],
        "threshold": threshold,
        "stride_px": stride,
        "size_multiple_px": stride if format == "exported" else 1,
        "normalisation": {"inside": True, **preprocessing_of(network).plain(), "range": "0 to 1, RGB"},
        "input": "images: (N, 3, H, W) RGB uint8",
        "output": "logits: (N, 1, H, W); crack where sigmoid(logits) >= threshold",
        "data": os.path.basename(os.path.normpath(trained["train"]["data"])),
        "epoch": trained["row"]["epoch"],
    }


def _trace(run: Callable[[], None], name: str, format: str) -> None:
    try:
        with warnings.catch_warnings(), torch.no_grad(), _silent_stdout():
            # Of sizes that a trace would hold constant: `_differences` finds out whether one does.
            warnings.simplefilter("ignore")
            run()
    except (RuntimeError, TypeError, ValueError, AttributeError, torch.onnx.errors.OnnxExporterError) as error:
        if isinstance(error, SegplugError):
            raise
        raise SegplugError(
            f"{name} cannot be exported as {format}: {_first_line(error)}; try another format, or predict with the "
            "checkpoint"
        ) from error


def _write_onnx(network: nn.Module, path: Path, about: dict[str, Any], opset: int) -> None:
    import onnx

    free = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        network,
        (_images(1, 96, 128),),
        str(path),
        # By tracing: torch.export cannot prove that the maps of padded sizes fit each other.
        dynamo=False,
        opset_version=opset,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": free, "logits": free},
    )
    model = onnx.load(path)
    for key, value in {**about, SEAL: EMPTY_SEAL}.items():
        model.metadata_props.add(key=PREFIX + key, value=json.dumps(value))
    onnx.save(model, path)
    seal(path)


def _write_torchscript(network: nn.Module, path: Path, about: dict[str, Any], opset: int) -> None:
    traced = torch.jit.trace(network, (_images(1, 96, 128),), check_trace=False)
    torch.jit.save(traced, str(path), _extra_files={ABOUT: json.dumps(about)})


def _write_exported(network: nn.Module, path: Path, about: dict[str, Any], opset: int) -> None:
    dim, step = torch.export.Dim, about["size_multiple_px"]
    free = {0: dim("batch", min=1, max=256)}
    for axis, name in ((2, "rows"), (3, "columns")):
        free[axis] = step * dim(name, min=2, max=512)  # torch.export takes 1 for a constant
    images = _images(2, 3 * step, 4 * step)
    program = torch.export.export(network, (images,), dynamic_shapes=(free,), strict=False)
    torch.export.save(program, path, extra_files={ABOUT: json.dumps(about)})


_WRITERS = {"onnx": _write_onnx, "torchscript": _write_torchscript, "exported": _write_exported}


def _onnx_logits(path: Path) -> Callable[[Tensor], Tensor]:
    model = OnnxModel(path, "cpu")
    return lambda images: torch.from_numpy(model.logits(images.numpy()))


def _differences(
    network: nn.Module, logits_of: Callable[[Tensor], Tensor], target: Path, allowed: float
) -> list[float]:
    found = []
    for size in CHECKED:
        images = _images(*size)
        try:
            with torch.inference_mode():
                written = logits_of(images)
        except (RuntimeError, AssertionError) as error:  # a shape that the trace holds constant
            raise SegplugError(f"{target}: not written; it fails on images {size}: {_first_line(error)}") from error
        with torch.inference_mode():
            expected = network(images)
        if written.shape != expected.shape:
            raise SegplugError(f"{target}: not written; for images {size} it gives logits of {tuple(written.shape)}")
        found.append((torch.sigmoid(written) - torch.sigmoid(expected)).abs().max().item())
        if not found[-1] <= allowed:
            raise SegplugError(
                f"{target}: not written; its probabilities differ by up to {found[-1]:.1e} from the checkpoint's on "
                f"{size[0]} images of {size[2]}x{size[1]}, {allowed:g} is allowed"
            )
    return found


def _images(n: int, height: int, width: int) -> Tensor:
    """Noise of several scales, the same each time."""
    generator = torch.Generator().manual_seed(0)
    fine = torch.rand(n, 3, height, width, generator=generator)
    coarse = torch.rand(n, 3, 4, 4, generator=generator)
    mixed = (fine + torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")) / 2
    return (mixed * 255).to(torch.uint8)


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """torch prints the whole graph, from C++, when it fails to export it to ONNX."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _first_line(error: Exception) -> str:
    return shorten(first_line(error), 160, placeholder=" …")
