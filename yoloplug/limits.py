"""Sizes beyond which a request is a mistake or an attack: refused before anything is computed."""

from __future__ import annotations

from yoloplug.errors import YoloplugError

IMGSZ = 16_384
"""Side of the network's input, pixels."""
IMAGE_PX = 150_000_000
"""Pixels of one image."""
THREADS = 1_024
TEXT = 200_000
"""Characters of a YAML; the longest that Ultralytics ships has 6,000."""
DEPTH = 30
"""Lists within lists in a YAML."""
NODES = 100_000
"""Values in a YAML, those behind an alias counted every time."""
ROWS = 1_000
"""Of a model."""
REPEATS = 1_000
"""Of a row, after scaling."""
CLASSES = 100_000
MULTIPLE = 100
"""Depth and width multiple of a scale."""


def check_imgsz(imgsz: int) -> None:
    """Raises YoloplugError."""
    if not 32 <= imgsz <= IMGSZ or imgsz % 32:
        raise YoloplugError(f"imgsz must be a multiple of 32 from 32 to {IMGSZ:,}, got {imgsz}")


def check_yaml(text: str) -> None:
    """Raises YoloplugError for a YAML that would take for ever to read; what is no YAML at all passes.

    The parser's events are looked at, which come one by one, before any list is built of them.
    """
    import yaml

    if len(text) > TEXT:
        raise YoloplugError(f"{len(text):,} characters, at most {TEXT:,} are read")
    sizes: dict[str, int] = {}
    open_lists: list[tuple[str | None, int]] = [(None, 0)]
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1
            anchor = getattr(event, "anchor", None)
            size = 0
            if isinstance(event, yaml.CollectionStartEvent):
                open_lists.append((anchor, 1))
                if len(open_lists) > DEPTH + 1:
                    raise YoloplugError(f"line {line}: more than {DEPTH} lists within lists")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, size = open_lists.pop()
            elif isinstance(event, yaml.AliasEvent):
                if anchor in {name for name, _ in open_lists}:
                    raise YoloplugError(f"line {line}: *{anchor} refers to what it stands in")
                size, anchor = sizes.get(str(anchor), 1), None
            elif isinstance(event, yaml.ScalarEvent):
                size = 1
            if anchor is not None:
                sizes[anchor] = size
            name, so_far = open_lists.pop()
            open_lists.append((name, so_far + size))
            if so_far + size > NODES:
                raise YoloplugError(f"line {line}: more than {NODES:,} values, with those that aliases repeat")
    except yaml.YAMLError:
        return  # the reader says what is wrong
