"""Our model YAMLs are found by bare name, from any directory, as Ultralytics' own are."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from yoloplug.names import did_you_mean

__all__ = ["known_names", "locate", "patch"]


def patch(checks: ModuleType) -> None:
    stock = checks.check_file

    @functools.wraps(stock)
    def check_file(file: Any, *args: Any, **kwargs: Any) -> Any:
        from yoloplug.shipped_yamls import find

        return stock(find(str(file)) or file, *args, **kwargs)

    setattr(checks, stock.__name__, check_file)


def locate(name: str) -> tuple[Path, str]:
    """(file, scale letter or "") behind a model name, as stock Ultralytics resolves it: `yolov8n.yaml` is yolov8.yaml
    at scale n. Raises FileNotFoundError for an unknown name, with the nearest names."""
    from ultralytics.nn.tasks import guess_model_scale
    from ultralytics.utils import checks

    if "://" in name or not name.endswith((".yaml", ".yml")):
        raise FileNotFoundError(f"{name!r} is not the name of a YAML file")
    without_scale = re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", name)
    found = checks.check_yaml(name, hard=False) or checks.check_yaml(without_scale, hard=False)
    if not found:
        hint = did_you_mean(Path(without_scale).name, known_names())
        raise FileNotFoundError(f"no model YAML {name!r} here, in Ultralytics or in yoloplug{hint}")
    return Path(found), guess_model_scale(name)


def known_names() -> list[str]:
    """File names of the stock model YAMLs and of ours, without scale letters."""
    import ultralytics

    from yoloplug.shipped_yamls import model_yamls

    stock = (Path(ultralytics.__file__).parent / "cfg" / "models").rglob("*.yaml")
    return sorted({path.name for path in stock} | set(model_yamls()))
