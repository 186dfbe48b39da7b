"""Look into a segplug checkpoint while it works on a photo: heat map of the cracks, gates and features of its layers.

LayerCAM is `yoloplug.look.layer_cam`, the same as for detection; the score explained is the sum of the logits over the
pixels found, as in the grad-cam package's SemanticSegmentationTarget, whose LayerCAM it equals before scaling.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segplug.data.images.reading import read_image
from segplug.draw import draw_overlay
from segplug.errors import SegplugError, check_threshold, unknown_name
from segplug.inference.checkpoint import load_model
from segplug.inference.probability import image_logits, pick_device
from yoloplug.look.album import Album
from yoloplug.look.figures import Scene
from yoloplug.look.layer_cam import heat_map, outputs_of
from yoloplug.look.views import View, views_of
from yoloplug.names import nearest

LARGEST_PX = 1024
Crop = tuple[int, int, int, int]


class Inspection:
    """One checkpoint and one photo. crop: left, top, width and height of the part to look at, pixels.

    Raises SegplugError for a file that cannot be read, and for a part larger than LARGEST_PX on a side: every layer's
    values and gradients are kept.
    """

    def __init__(
        self, checkpoint: Path, photo: Path, threshold: float = 0.5, crop: Crop | None = None, device: str = "auto"
    ) -> None:
        self.checkpoint, self.photo, self.threshold = checkpoint, photo, threshold
        check_threshold(threshold)
        self.device = pick_device(device)
        if not photo.is_file():
            raise SegplugError(f"{photo}: no such image")
        image = _part(read_image(photo), crop, photo)
        model, about = load_model(checkpoint)
        self.name = str(about["model"]["name"])
        self.model = model.to(self.device)
        self.pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(self.device)
        self.shapes: dict[str, tuple[int, ...]] = {}
        """Layer -> (C, H, W) of its feature map (the deepest of several); children of the encoder are left out."""
        padded = [image.shape[:2]]
        self.views: list[View] = self._run_once(padded)
        mask = torch.sigmoid(self.logits) >= threshold
        covers = (0.0, 0.0, float(padded[-1][1]), float(padded[-1][0]))
        findings = draw_overlay(image, mask[0, 0].cpu().numpy())
        self.scene = Scene(image, covers, findings=findings)
        self.found = float(mask.float().mean())

    @property
    def title(self) -> str:
        return f"{self.name} ({self.checkpoint.name})"

    @property
    def default_layer(self) -> str:
        """The encoder or backbone, whose deepest map heat maps explain unless told otherwise."""
        return next(name for name, _ in self.model.named_children())

    def summary(self) -> str:
        """How much was found and which layers have something to show."""
        lines = [f"{self.title}: {self.found:.2%} of the pixels are crack at threshold {self.threshold}", ""]
        lines.append(f"{'layer':<34}  to look at with --what gate or offset")
        for view in self.views:
            what = ", ".join([*view.maps, *view.bars, *(["offset"] if view.sampling else [])])
            lines.append(f"{view.name:<34}  {what} ({view.block})")
        if not self.views:
            lines.append("none has gates or offsets")
        lines += ["", f"{'layer':<34}  feature map, for --what features or cam"]
        lines += [f"{name:<34}  {'x'.join(map(str, shape))}" for name, shape in self.shapes.items()]
        lines += ["", f"any other module's name will do; --what cam without --layer explains {self.default_layer}"]
        return "\n".join(lines)

    def draw(
        self, out: Path, layer: str | None = None, what: str | None = None, format: str = "png", arrays: bool = False
    ) -> list[Path]:
        """Write the pictures of a layer, or with what="cam" of `default_layer`, and return the files.

        what: cam, gate, offset or features; all that the layer has by default. Raises SegplugError for a layer that
        is not there or has not got it.
        """
        if layer is None and what != "cam":
            raise SegplugError(f"say which layer, e.g. {self.default_layer}; without one, `segplug look` lists them")
        name = layer or self.default_layer
        module = self._module(name)
        views = [v for v in self.views if f"{v.name} ".startswith((f"{name} ", f"{name}."))]
        if what in ("gate", "offset") and not any(what in view.kinds for view in views):
            known = [view.name for view in self.views if what in view.kinds]
            raise SegplugError(f"layer {name} has no {what}; layers that have: {', '.join(known) or 'none'}")
        album = Album(out, self.photo.stem, self.title, self.scene, format, arrays)
        middle = (self.scene.image.shape[1] / 2, self.scene.image.shape[0] / 2)
        for view in views:
            album.add_view(
                view, view.kinds if what is None else [what], view.name, f"{view.name} ({view.block})", [middle]
            )
        if what in (None, "features", "cam"):
            self._draw_maps(album, module, name, ("features", "cam") if what is None else (what,))
        return album.files

    def _draw_maps(self, album: Album, module: nn.Module, name: str, kinds: Sequence[str]) -> None:
        with outputs_of([module]) as outputs, torch.enable_grad():
            logits = image_logits(self.model, self.pixels)
        if not outputs[module]:
            raise SegplugError(f"layer {name} gives no feature map; layers that do: {', '.join(self.shapes)}")
        features = outputs[module][-1]
        if "features" in kinds:
            album.add_features(features[0], f"{name}-features", name)
        if "cam" in kinds:
            found = torch.sigmoid(logits) >= self.threshold
            score = logits[found].sum() if found.any() else logits.max()
            explained = f"{int(found.sum())} crack pixels" if found.any() else "the likeliest pixel: none was found"
            _, _, right, bottom = self.scene.covers
            try:
                heat = heat_map([score], [features], (int(bottom), int(right)))
            except (ValueError, RuntimeError) as error:
                raise SegplugError(
                    f"no heat map of layer {name}: {error}; take one of {', '.join(self.shapes)}"
                ) from None
            album.add_heat(heat, f"{name}-cam", f"{name} · LayerCAM of {explained}")

    def _run_once(self, padded: list[Any]) -> list[View]:
        """The views; fills `shapes`, `logits` and `padded` with the size that the network pads to."""
        names = {m: n for n, m in self.model.named_modules() if n and n.count(".") < 3 and not n.startswith("encoder.")}

        def note(module: nn.Module, args: Any, output: Any) -> None:
            maps = [x for x in (output if isinstance(output, list | tuple) else [output]) if isinstance(x, Tensor)]
            if maps and maps[-1].dim() == 4 and maps[-1].shape[2] > 1:
                self.shapes[names[module]] = tuple(maps[-1].shape[1:])

        def size(module: nn.Module, args: Any) -> None:
            if len(padded) == 1 and args and isinstance(args[0], Tensor):
                padded.append(args[0].shape[-2:])

        hooks = [module.register_forward_hook(note) for module in names]
        hooks += [module.register_forward_pre_hook(size) for module in self.model.children()]

        def run() -> None:
            self.logits = image_logits(self.model, self.pixels)

        try:
            return views_of(self.model, run)
        finally:
            for hook in hooks:
                hook.remove()

    def _module(self, name: str) -> nn.Module:
        names = dict(self.model.named_modules())
        if name not in names or not name:
            near = nearest(name, [n for n in names if n], most=1)
            raise unknown_name("layer", name, [*near, *self.shapes, *(view.name for view in self.views)])
        return names[name]


def _part(image: Any, crop: Crop | None, photo: Path) -> Any:
    height, width = image.shape[:2]
    if crop is not None:
        left, top, w, h = crop
        if min(left, top) < 0 or min(w, h) < 1 or left + w > width or top + h > height:
            raise SegplugError(f"crop {left} {top} {w} {h} does not lie in {photo}, {width} x {height} px")
        image = image[top : top + h, left : left + w]
    if max(image.shape[:2]) > LARGEST_PX:
        raise SegplugError(
            f"{photo}: {image.shape[1]} x {image.shape[0]} px are too many to keep every layer's gradient; "
            f"give --crop LEFT TOP WIDTH HEIGHT of at most {LARGEST_PX} px a side"
        )
    return image
