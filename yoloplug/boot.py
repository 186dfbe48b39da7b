"""Start-up: watch for Ultralytics being imported and hand it to a bridge. Only `sys` and `os` here.

Runs in every Python process of the environment through `yoloplug.pth`, so it must cost nothing. YOLOPLUG_DISABLE=1
in the environment turns the plug-in off; a row that needs it then says so.
"""

import os
import sys

WATCHED = "ultralytics.nn.tasks"


def install(bridge: str) -> None:
    """Watch for the module that builds models; where it is imported already (a late `import yoloplug`), patch it.

    bridge: the module that patches. It is named, not imported: only a process that uses Ultralytics loads it.
    """
    if any(isinstance(f, _Watcher) for f in sys.meta_path):
        return
    watcher = _Watcher(bridge)
    sys.meta_path.insert(0, watcher)
    if WATCHED in sys.modules:
        watcher.patch(sys.modules[WATCHED])


class _Watcher:
    """A meta path finder that finds nothing itself: it lets the others find, and adds one step after execution."""

    def __init__(self, bridge: str) -> None:
        self.bridge = bridge

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != WATCHED:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None:
                self._patch_after_execution(spec.loader)
                return spec
        return None

    def _patch_after_execution(self, loader) -> None:  # type: ignore[no-untyped-def]
        execute = loader.exec_module

        def exec_module(module) -> None:  # type: ignore[no-untyped-def]
            execute(module)
            self.patch(module)

        loader.exec_module = exec_module

    def patch(self, module) -> None:  # type: ignore[no-untyped-def]
        off = os.environ.get("YOLOPLUG_DISABLE", "") not in ("", "0")
        __import__(self.bridge, fromlist=["patch"]).patch(module, off=off)
