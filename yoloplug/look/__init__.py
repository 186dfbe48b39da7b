"""Views into a network while it works on one image: class heat maps, gates, sampling positions, features.

Nothing in here knows Ultralytics or segplug: networks come as plain modules. `yoloplug look` and `segplug look` are
built on it.
"""

__all__ = ["FORMATS", "KINDS"]

KINDS = ("cam", "gate", "offset", "features")
"""What can be drawn of a layer: class heat map, gates and mixtures, sampling positions, feature maps."""

FORMATS = ("png", "pdf", "svg")
