"""A YAML or JSON file: its plain contents, and the line of every key, for messages. Hostile files end in a message.

Limits: MAX_BYTES and those of `yoloplug.limits`. Dates are text; 1e-3 is a number, as everyone who writes it means.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from segplug.errors import SegplugError, one_line
from segplug.settings import Key, SettingError
from yoloplug.limits import check_yaml

MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Document:
    """`value`: dicts, lists, text, numbers. `lines`: of the keys, from 1; empty for JSON."""

    path: Path
    text: str
    value: Any
    lines: dict[Key, int] = field(repr=False)

    def line(self, key: Key) -> int | None:
        """The line of a key, or of the nearest one around it that is written down."""
        return next((self.lines[key[:n]] for n in range(len(key), -1, -1) if key[:n] in self.lines), None)


def read_document(path: Path) -> Document:
    """Raises SegplugError on a file that is absent, not readable, too large or too deep, and on a key given twice."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SegplugError(f"{path}: larger than {MAX_BYTES >> 20} MiB; not a file of settings")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SegplugError(f"{path}: no such file") from error
    except OSError as error:
        raise SegplugError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, error) from error
    lines: dict[Key, int] = {}
    try:
        value = json.loads(text) if path.suffix == ".json" else _yaml(text, path, lines)
        json.dumps(value, default=str, ensure_ascii=False).encode()  # half of a surrogate pair could not be printed
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, SegplugError):
            raise
        raise _unreadable(path, error) from error
    return Document(path, text, value, lines)


def read_yaml(path: Path) -> Any:
    """The plain contents alone."""
    return read_document(path).value


class _Loader(yaml.SafeLoader):
    """YAML 1.1's safe loader with other numbers and without dates."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))


def _yaml(text: str, path: Path, lines: dict[Key, int]) -> Any:
    check_yaml(text)
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _walk(root, (), lines, path)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _walk(node: yaml.Node, at: Key, lines: dict[Key, int], path: Path) -> None:
    """Remember the line of every key and item; a key given twice is refused."""
    line = node.start_mark.line + 1
    lines.setdefault(at, line)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, child in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                raise SettingError("is given twice; keep one", (*at, name), path, key.start_mark.line + 1)
            seen.add(name)
            lines[(*at, name)] = key.start_mark.line + 1
            _walk(child, (*at, name), lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, (*at, index), lines, path)


def _unreadable(path: Path, error: Exception) -> SegplugError:
    said = one_line(error)
    return SegplugError(f"{path}: not readable as YAML or JSON: {said[:300]}")
