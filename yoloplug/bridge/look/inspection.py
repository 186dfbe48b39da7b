"""Look into an Ultralytics checkpoint while it works on an image: `yoloplug look` from Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from yoloplug.bridge.look.inside import Inside, look_inside
from yoloplug.errors import YoloplugError
from yoloplug.look import KINDS
from yoloplug.look.album import Album
from yoloplug.look.figures import Scene
from yoloplug.look.layer_cam import heat_map, outputs_of
from yoloplug.look.views import View, views_of
from yoloplug.names import choices

Place = tuple[float, float]

_PLACES = 3


class Inspection:
    """One checkpoint and one image.

        print((inspection := yoloplug.Inspection("best.pt", "photo.jpg")).summary())
        inspection.draw("look/", blocks=[4])

    imgsz: the checkpoint's own by default; conf: of detections drawn and
    explained. top: how many of them heat maps explain at most; each costs a backward pass. trust: let the checkpoint
    run code that it carries.

    Raises YoloplugError for a missing file and for what is no checkpoint or no image.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        image: str | Path,
        imgsz: int | None = None,
        conf: float = 0.25,
        device: str | None = None,
        top: int = 16,
        trust: bool = False,
    ) -> None:
        self.file, self.image = Path(checkpoint), Path(image)
        self.conf, self.top = conf, top
        if top < 1:
            raise YoloplugError(f"top must be at least 1, got {top}")
        if not 0 <= conf <= 1:
            raise YoloplugError(f"conf must lie between 0 and 1, got {conf:g}")
        self.inside: Inside = look_inside(self.file, self.image, imgsz, conf, device, trust)
        self.views: dict[int, list[View]] = {}
        """Row -> what its blocks show, named within the row."""
        with outputs_of(self.inside.rows) as outputs:
            for view in views_of(self.inside.network, self.inside.run):
                _, row, *rest = view.name.split(".")
                view.name = ".".join(rest)
                self.views.setdefault(int(row), []).append(view)
        self.features: dict[int, Tensor] = {
            row: outputs[module][0][0] for row, module in enumerate(self.inside.rows) if outputs[module]
        }
        """Row -> its feature map (C, H, W), of the rows that give one."""

    @property
    def title(self) -> str:
        name = self.inside.yaml_name
        return f"{name} ({self.file.name})" if name else self.file.name

    def summary(self) -> str:
        """What was found and which rows have something to show."""
        found = Counter(label for _, label, _ in self.inside.outlines)
        lines = [f"{self.title}: {self.inside.task}, {len(self.inside.rows)} rows, classes {self._classes()}"]
        if self.inside.task not in ("classify", "semantic", "depth"):
            lines.append(
                "found " + (", ".join(f"{n} {name}" for name, n in found.items()) or f"nothing above {self.conf}")
            )
        lines += ["", "row  module            feature map    to look at"]
        for row, views in self.views.items():
            shape = "x".join(map(str, self.features[row].shape)) if row in self.features else ""
            for i, view in enumerate(views):
                start = f"{row:>3}  {self._module(row):<16}  {shape:<13}" if i == 0 else " " * 36
                what = ", ".join([*view.maps, *view.bars, *(["offset"] if view.sampling else [])])
                lines.append(f"{start}  {view.name or 'itself'} ({view.block}): {what}")
        if not self.views:
            lines.append("none has gates or offsets: its modules are stock, or blocks without either")
        heads = ", ".join(map(str, self.inside.head_sources()))
        lines += ["", f"every row can show features and cam: {_ranges(list(self.features))}"]
        lines.append(f"--what cam without --block explains rows {heads}, which the head reads")
        return "\n".join(lines)

    def draw(
        self,
        out: str | Path,
        blocks: Sequence[int] = (),
        what: str | None = None,
        label: str | None = None,
        places: Sequence[Place] = (),
        format: str = "png",
        arrays: bool = False,
    ) -> list[Path]:
        """Write the pictures of some rows and return the files.

        what: one of KINDS; all that a row has by default. Without rows it must be cam, then of the head's inputs.
        label: the class that heat maps explain, its name or number; without, all. places: for offsets, x and y in
        image pixels; without, the strongest detections' centres. Raises YoloplugError for a row, kind, class
        or place that is not there.
        """
        if what is not None and what not in KINDS:
            raise YoloplugError(f"what must be one of {', '.join(KINDS)}, got {what!r}")
        if not blocks and what != "cam":
            raise YoloplugError(f"say which row: blocks from {_ranges(sorted(self.features))}")
        chosen = None if label is None else [self._class(label)]
        for row in blocks:
            self._check(row, what)
        self._check_places(places)
        outlines = [(polygon, f"{label} {conf:.2f}") for polygon, label, conf in self.inside.outlines]
        scene = Scene(self.inside.image, self.inside.covers, outlines, self.inside.findings)
        album = Album(Path(out), self.image.stem, self.title, scene, format, arrays)
        if not blocks:
            self._draw_cam(album, self.inside.head_sources(), chosen, "head-cam", "inputs of the head")
        for row in blocks:
            name, title = f"row{row:02}", f"row {row} {self._module(row)}"
            for view in self.views.get(row, []):
                of_view = f"{title} · {view.name} ({view.block})" if view.name else title
                kinds = view.kinds if what is None else [what]
                album.add_view(view, kinds, f"{name}-{view.name or view.block}", of_view, places or self._places())
            if what in (None, "features") and row in self.features:
                album.add_features(self.features[row], f"{name}-features", title)
            if what == "cam" or (what is None and row in self.features and self.inside.task != "depth"):
                self._draw_cam(album, [row], chosen, f"{name}-cam", title)
        return album.files

    def _draw_cam(self, album: Album, rows: list[int], chosen: list[int] | None, name: str, title: str) -> None:
        modules = [self.inside.rows[row] for row in rows]
        with outputs_of(modules) as outputs:
            result = self.inside.run(with_graph=True)
        scores = self.inside.scores(result, chosen, self.conf, top=self.top)
        if not scores:
            raise YoloplugError(f"{self.image}: no prediction of the class to explain")
        height, width = self.inside.input.shape[2:]
        activations = [a for module in modules for a in outputs[module]]
        try:
            heat = heat_map([score.value for score in scores], activations, (height, width))
        except (ValueError, RuntimeError) as error:
            raise YoloplugError(
                f"no heat map of {title}: {error}. Rows behind the head's inputs and, on some releases of Ultralytics, "
                "end-to-end heads have no gradient; use a row before the head"
            ) from None
        of = Counter(self.inside.names[score.label] for score in scores)
        classes = ", ".join(f"{n} {label}" for label, n in of.items())
        if len(scores) == self.top:
            classes = f"the {self.top} strongest: {classes}"
        if chosen is not None:
            name += f"-{self.inside.names[chosen[0]]}"
        album.add_heat(heat, name, f"{title} · LayerCAM of {classes}")

    def _check(self, row: int, what: str | None) -> None:
        rows = self.inside.rows
        with_views = {
            kind: [r for r, views in self.views.items() if any(kind in v.kinds for v in views)] for kind in KINDS
        }
        of = {**with_views, "cam": list(self.features), "features": list(self.features)}
        known = "; ".join(f"{kind}: {_ranges(of[kind]) or 'none'}" for kind in KINDS)
        if not 0 <= row < len(rows):
            raise YoloplugError(f"{self.file} has no row {row}; rows with something to show, {known}")
        if what is None and row not in self.features and row not in self.views:
            raise YoloplugError(f"row {row} ({self._module(row)}) gives no feature map; rows that do, {known}")
        if what is not None and row not in of[what]:
            raise YoloplugError(f"row {row} ({self._module(row)}) has no {what}; rows that have, {known}")

    def _check_places(self, places: Sequence[Place]) -> None:
        height, width = self.inside.image.shape[:2]
        for x, y in places:
            if not (0 <= x < width and 0 <= y < height):
                raise YoloplugError(f"place {x:g},{y:g} lies outside of {self.image}, {width} x {height} px")

    def _places(self) -> list[Place]:
        """The centres of the first detections, which are the strongest; the image's centre where nothing was found."""
        height, width = self.inside.image.shape[:2]
        centres = [tuple(polygon.mean(0).tolist()) for polygon, *_ in self.inside.outlines[:_PLACES]]
        return centres or [(width / 2, height / 2)]

    def _class(self, label: str) -> int:
        names = self.inside.names
        found = next((number for number, name in names.items() if label in (name, str(number))), None)
        if found is None:
            raise YoloplugError(f"{self.file} has no class {label!r}{choices(label, names.values(), limit=20)}")
        return found

    def _classes(self) -> str:
        names = list(self.inside.names.values())
        return ", ".join(names[:20]) + (f", … ({len(names)} in all)" if len(names) > 20 else "")

    def _module(self, row: int) -> str:
        return type(self.inside.rows[row]).__name__


def _ranges(rows: Sequence[int]) -> str:
    """0, 1, 2, 5 -> "0 to 2, 5"."""
    parts: list[list[int]] = []
    for row in rows:
        if parts and row == parts[-1][-1] + 1:
            parts[-1].append(row)
        else:
            parts.append([row])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]} to {p[-1]}" for p in parts)
