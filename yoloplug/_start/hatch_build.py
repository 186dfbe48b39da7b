"""Build hook: a wheel brings the C kernels, compiled here if there is a compiler, and is then one for this platform.

An editable install gets the start-up files only: its YAMLs stay in the source tree, its kernels are compiled at first
use.
"""

import runpy
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Install(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            build_data["force_include_editable"] = {
                f"yoloplug/_start/{name}": name for name in ("yoloplug.pth", "yoloplug.start")
            }
        elif self.target_name == "wheel":
            self._compile(build_data)

    def _compile(self, build_data: dict[str, Any]) -> None:
        build = runpy.run_path(str(Path(self.root) / "yoloplug/native/build.py"))
        self.work = tempfile.TemporaryDirectory()
        made = Path(self.work.name) / "kernels.so"
        try:
            build["compile_kernels"](made, portable=True)
        except build["BuildError"] as error:
            self.app.display_warning(f"the wheel is without C kernels, torch computes instead: {error}")
            return
        build_data["force_include"][str(made)] = "yoloplug/native/kernels/kernels.so"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
