"""DataSource: where the labelled images lie and how to understand their labels, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segplug.data.labels.mask_encoding import MaskRules
from segplug.settings import REQUIRED, SettingError, Settings, setting

DataFormat = Literal["auto", "folders", "csv", "yolo", "coco", "cfd", "labelme", "semantic"]


@dataclass(frozen=True)
class DataSource(Settings):
    """Settings shared by training, evaluation and `segplug check`; docs/data.md shows the layouts.

    Raises SegplugError on a value of the wrong type or one that contradicts another.
    """

    data: str = setting(
        REQUIRED,
        "data",
        "folder with images/ + masks/ (or train, val, test of them), CSV list, YOLO or Ultralytics YAML, COCO JSON, or "
        "a folder that holds one of these; training does not read test",
    )
    data_format: DataFormat = setting("auto", "data", "how to read data; auto recognises it")
    classes: str | int | None = setting(
        None, "data", "names or numbers of the classes that are crack, such as crack,joint"
    )
    mask_values: str | None = setting(
        None, "data", "values of background and crack in mask files, such as 255/0; none: detected"
    )
    crack_values: str | int | None = setting(
        None, "data", "class ids in mask files that are crack, such as 1,2; all others are background"
    )
    ignore_value: int | None = setting(None, "data", "value in mask files of pixels without label; -1: there is none")
    ignore: str | None = setting(
        None, "data", "folder of masks by image name, 0 where a pixel has no label; none: valid/ in data"
    )
    recursive: bool = setting(True, "data", "take the images of sub-folders too")
    unlabelled: Literal["refuse", "crack-free"] = setting("refuse", "data", "what an image without label is")
    source_rule: str | None = setting(
        None,
        "data",
        "regular expression whose first group names a crop's source photo, which then stays on one side of the "
        r"validation split; DeepCrack: (.+?)(?:-\d+)?$",
    )
    groups: str | None = setting(
        None, "data", "CSV with columns image,group that names each image's source photo instead"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mask_rules()
        if self.class_list() == ():
            raise SettingError("is empty; name what is crack or leave it out", ("classes",))
        for name in ("ignore", "groups"):
            if getattr(self, name) is not None and not getattr(self, name).strip():
                raise SettingError("is empty; name one or leave it out", (name,))

    @staticmethod
    def of(source: DataSource | Path | str) -> DataSource:
        """A path with all other settings at their defaults."""
        return source if isinstance(source, DataSource) else DataSource(str(source))

    def mask_rules(self) -> MaskRules:
        """What mask_values, crack_values and ignore_value say."""
        crack = None if self.crack_values is None else str(self.crack_values)
        return MaskRules.parse(self.mask_values, crack, self.ignore_value)

    def class_list(self) -> tuple[str, ...] | None:
        """The names or numbers in `classes`."""
        if self.classes is None:
            return None
        return tuple(part.strip() for part in str(self.classes).split(",") if part.strip())
