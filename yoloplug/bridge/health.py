"""Does the plug-in work here, and if not, why? What `yoloplug doctor` asks of this environment."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from yoloplug.version import __version__


class Finding(NamedTuple):
    """what: was found. remedy: what to do, "" where nothing has to be done."""

    what: str
    remedy: str = ""


def examined() -> Iterator[Finding]:
    """One finding after the other; the first that has a remedy is the one to begin with."""
    yield Finding(f"yoloplug {__version__} in {Path(__file__).parents[1]}, Python {platform.python_version()}")
    yield from _start_up()
    if os.environ.get("YOLOPLUG_DISABLE", "") not in ("", "0"):
        yield Finding("YOLOPLUG_DISABLE is set: the plug-in is off", "unset YOLOPLUG_DISABLE")
    try:
        import torch
        import ultralytics
        from ultralytics.nn import tasks
    except ImportError as error:
        yield Finding(f"Ultralytics cannot be imported: {error}", "pip install ultralytics")
        return
    yield Finding(f"torch {torch.__version__}")
    yield from _package(ultralytics)
    yield from _hook(tasks, ultralytics.__version__)
    from yoloplug import native

    yield Finding(str(native.status()))


def _start_up() -> Iterator[Finding]:
    """Whether a new process has the hook without `import yoloplug`."""
    code = "import sys; print('yoloplug.boot' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if run.stdout.strip() == "True":
        yield Finding("start-up hook: every Python process of this environment has it")
        return
    file = "yoloplug.start" if sys.version_info >= (3, 15) else "yoloplug.pth"
    yield Finding(
        f"start-up hook: {file} is not in this environment's site-packages, so that `yolo` does not know the blocks",
        "pip install --force-reinstall --no-deps yoloplug; or `import yoloplug` in your script",
    )


def _package(ultralytics: ModuleType) -> Iterator[Finding]:
    place = Path(str(ultralytics.__file__)).parent
    owners = sorted(set(metadata.packages_distributions().get("ultralytics", [])))
    origin = metadata.distribution("ultralytics").read_text("direct_url.json") if "ultralytics" in owners else None
    source = f", installed from {json.loads(origin).get('url')}" if origin else ""
    yield Finding(f"ultralytics {ultralytics.__version__} in {place}{source}")
    if owners != ["ultralytics"]:
        whose = " and ".join(owners) or "no installed package (a folder on the path?)"
        yield Finding(
            f"the module ultralytics comes from {whose}: a fork or a copy",
            "pip uninstall it, then pip install ultralytics; yoloplug extends the released package",
        )
    elif not Path(str(metadata.distribution("ultralytics").locate_file("ultralytics"))).samefile(place):
        yield Finding(
            f"another ultralytics is installed in {metadata.distribution('ultralytics').locate_file('ultralytics')}",
            f"remove {place} from the path (PYTHONPATH, the working directory), or go on if it is a checkout of yours",
        )


def _hook(tasks: Any, version: str) -> Iterator[Finding]:
    from yoloplug.bridge.patches import parse

    code = getattr(tasks.parse_model, "__code__", None)
    if parse.refusal:
        yield Finding(
            f"hook: not active, ultralytics {version} cannot be extended: {parse.refusal}",
            f"install a tested release ({parse.TESTED}), or a newer yoloplug",
        )
    elif parse.RULE not in vars(tasks):
        if os.environ.get("YOLOPLUG_DISABLE", "") in ("", "0"):
            yield Finding("hook: not active in this process", "`import yoloplug` before you build a model")
    elif code is None or parse.RULE not in code.co_names:
        where = getattr(code, "co_filename", "code without a source")
        yield Finding(f"hook: parse_model was replaced afterwards, by {where}", "remove the code that replaces it")
    else:
        from yoloplug.bridge.trace import RowError, build

        try:
            build(tasks.yaml_model_load("yolov8n-C2f_gnConv.yaml"))
        except RowError as error:
            yield Finding(f"hook: active, but a model with gnConv does not build: {error}", "please report it")
        else:
            yield Finding("hook: active, a model with gnConv builds")
