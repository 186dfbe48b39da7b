"""The model YAMLs that come with yoloplug, found by bare name from any directory, as Ultralytics' own are."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from yoloplug.errors import YoloplugError
from yoloplug.names import did_you_mean

_IN_WHEEL = Path(__file__).parents[1] / "model_yamls"
_IN_SOURCE_TREE = Path(__file__).parents[2] / "model_yamls"


def patch(checks: ModuleType) -> None:
    stock = checks.check_file

    @functools.wraps(stock)
    def check_file(file: Any, *args: Any, **kwargs: Any) -> Any:
        return stock(find(str(file)) or file, *args, **kwargs)

    setattr(checks, stock.__name__, check_file)


def model_yamls() -> dict[str, Path]:
    """File name -> path of every shipped YAML; the names carry no scale letter (`yolov8-C2f_gnConv.yaml`)."""
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_SOURCE_TREE
    return {path.name: path for path in sorted(folder.glob("*.yaml"))}


def find(name: str) -> str | None:
    """The shipped file behind a bare name such as `yolov8n-C2f_gnConv.yaml` or without the `n`.

    None where the name has a directory, exists in the working directory, or is not ours.
    """
    if not name.endswith(".yaml") or os.path.basename(name) != name or os.path.exists(name):
        return None
    shipped = model_yamls()
    without_scale = re.sub(r"^(yolov?\d+)[nslmx](?=[-.])", r"\1", name)
    path = shipped.get(name) or shipped.get(without_scale)
    return str(path) if path else None


def locate(name: str) -> tuple[Path, str]:
    """(file, scale letter or "") behind a model name, as stock Ultralytics resolves it: `yolov8n.yaml` is yolov8.yaml
    at scale n; but a folder's name (`run3x/`), which stock would cut first, has no scale. Raises YoloplugError for an
    unknown name, with the nearest names."""
    from ultralytics.nn.tasks import guess_model_scale
    from ultralytics.utils import checks

    if "://" in name or not name.endswith((".yaml", ".yml")):
        raise YoloplugError(f"{name!r} is not the name of a YAML file")
    path = Path(name)
    without_scale = str(path.with_name(re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", path.name)))
    try:
        found = checks.check_yaml(name, hard=False) or checks.check_yaml(without_scale, hard=False)
    except FileNotFoundError as error:  # several files of that name
        raise YoloplugError(f"{name}: {error}") from error
    if not found:
        hint = did_you_mean(Path(without_scale).name, known_names())
        raise YoloplugError(f"no model YAML {name!r} here, in Ultralytics or in yoloplug{hint}")
    return Path(found), guess_model_scale(name)


def known_names() -> list[str]:
    """File names of the stock model YAMLs and of ours, without scale letters."""
    import ultralytics

    stock = (Path(ultralytics.__file__).parent / "cfg" / "models").rglob("*.yaml")
    return sorted({path.name for path in stock} | set(model_yamls()))
