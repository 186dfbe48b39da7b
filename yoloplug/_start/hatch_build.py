"""Build hook: an editable install gets the start-up files only; its YAMLs stay in the source tree."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableInstall(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            build_data["force_include_editable"] = {
                f"yoloplug/_start/{name}": name for name in ("yoloplug.pth", "yoloplug.start")
            }
