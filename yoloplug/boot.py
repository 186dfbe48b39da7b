"""Start-up: watch for Ultralytics being imported and hand it to yoloplug.bridge. Only `sys` and `os` here.

Runs in every Python process of the environment through `yoloplug.pth`, so it must cost nothing. YOLOPLUG_DISABLE=1
in the environment turns the plug-in off; a row that needs it then says so.
"""

import os
import sys

WATCHED = "ultralytics.nn.tasks"


def install() -> None:
    """Watch for the module that builds models; where it is imported already (a late `import yoloplug`), patch it."""
    if any(isinstance(f, _Watcher) for f in sys.meta_path):
        return
    sys.meta_path.insert(0, _Watcher())
    if WATCHED in sys.modules:
        _patch(sys.modules[WATCHED])


class _Watcher:
    """A meta path finder that finds nothing itself: it lets the others find, and adds one step after execution."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != WATCHED:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None:
                _patch_after_execution(spec.loader)
                return spec
        return None


def _patch_after_execution(loader) -> None:  # type: ignore[no-untyped-def]
    execute = loader.exec_module

    def exec_module(module) -> None:  # type: ignore[no-untyped-def]
        execute(module)
        _patch(module)

    loader.exec_module = exec_module


def _patch(module) -> None:  # type: ignore[no-untyped-def]
    from yoloplug import bridge

    bridge.patch(module, off=os.environ.get("YOLOPLUG_DISABLE", "") not in ("", "0"))
