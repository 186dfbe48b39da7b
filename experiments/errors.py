"""The one exception of a comparison that a user can cure; the command line prints it as one line."""

from segplug.settings import SettingError


class SpecError(SettingError):
    """Something that cannot be run or read: `problem` with its remedy, and `key`, `path` and `line` of the spec."""

    link = ": "
