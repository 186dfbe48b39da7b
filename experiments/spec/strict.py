"""YAML text into frozen dataclasses; whatever does not fit is refused with its line and the nearest valid name."""

import difflib
import re
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

__all__ = ["SpecError", "load", "nearest", "read_at"]

T = TypeVar("T")
At = tuple[str | int, ...]


class SpecError(ValueError):
    """A spec that cannot be run; the message names file, line, key and remedy."""


def load(cls: type[T], path: Path) -> T:
    """Read `path` as one instance of the dataclass `cls`. Raises SpecError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the spec {path}: {error}") from error
    try:
        root = yaml.compose(text, Loader=_Loader)
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is not YAML: {error}") from error
    lines: dict[At, int] = {}
    if root is not None:
        _walk(root, (), lines, path)
    return _Decoder(path, lines).build(cls, value, ())


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` with the valid names, ready to end an error message."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    shown = names if len(names) <= 40 else [*difflib.get_close_matches(name, names, n=12, cutoff=0.0), "…"]
    return f"{hint} (valid: {', '.join(shown)})"


@contextmanager
def read_at(path: Path, *at: str | int) -> Iterator[None]:
    """Put file and line in front of a SpecError about what stands at `at`, or at the key that the message begins with.

    For faults that only a look at models and data can find, after `load` has read the file.
    """
    try:
        yield
    except SpecError as error:
        key = str(error).split(":", 1)[0]
        place: At = at or tuple(key.split("."))
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
        lines: dict[At, int] = {}
        _walk(root, (), lines, path)
        raise type(error)(f"{path}:{_line(lines, place)}: {error}") from error


def _line(lines: dict[At, int], at: At) -> int:
    """The line of a key, or of the nearest one around it that is written down."""
    return next((lines[at[:n]] for n in range(len(at), -1, -1) if at[:n] in lines), 1)


class _Loader(yaml.SafeLoader):
    """YAML 1.1's safe loader, except that 1e-3 is a number, as everyone who writes it means."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))


def _walk(node: yaml.Node, at: At, lines: dict[At, int], path: Path) -> None:
    """Remember the line of every key and item; a key given twice is refused."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            if key.value in seen:
                raise SpecError(f"{path}:{key.start_mark.line + 1}: key {key.value!r} is given twice; keep one")
            seen.add(key.value)
            lines[(*at, key.value)] = key.start_mark.line + 1
            _walk(child, (*at, key.value), lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, (*at, index), lines, path)


class _Decoder:
    """Turns plain values into annotated types, knowing where each stood in the file."""

    def __init__(self, path: Path, lines: dict[At, int]) -> None:
        self.path = path
        self.lines = lines

    def refuse(self, at: At, message: str) -> SpecError:
        line = _line(self.lines, at)
        where = ".".join(str(part) for part in at)
        return SpecError(f"{self.path}:{line}: {where + ': ' if where else ''}{message}")

    def build(self, cls: type[T], value: Any, at: At) -> T:
        """One dataclass; a class with `from_text` may also be written as a plain string."""
        from_text = getattr(cls, "from_text", None)
        if isinstance(value, str) and from_text:
            value = from_text(value)
        if not isinstance(value, dict):
            raise self.refuse(at, f"must be a mapping with {[f.name for f in fields(cls)]}, got {value!r}")  # type: ignore[arg-type]
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
        for key in value:
            if key not in known:
                raise self.refuse((*at, key), f"unknown key{nearest(str(key), known)}")
        given: dict[str, Any] = {}
        for name, field in known.items():
            if name in value:
                given[name] = self.convert(hints[name], value[name], (*at, name))
            elif field.default is MISSING and field.default_factory is MISSING:
                raise self.refuse(at, f"key {name!r} is missing")
        try:
            return cls(**given)
        except ValueError as error:
            inner = str(error).split()[0].split(".")  # our checks begin with the key
            raise self.refuse((*at, *inner) if inner[0] in known else at, str(error)) from error

    def convert(self, kind: Any, value: Any, at: At) -> Any:
        origin, inner = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            if value is None and type(None) in inner:
                return None
            return self.convert(next(k for k in inner if k is not type(None)), value, at)
        if origin is tuple:
            if not isinstance(value, list) or not value:
                raise self.refuse(at, f"must be a list with at least one item, got {value!r}")
            return tuple(self.convert(inner[0], item, (*at, i)) for i, item in enumerate(value))
        if origin is dict:
            if not isinstance(value, dict):
                raise self.refuse(at, f"must be a mapping, got {value!r}")
            return {str(k): self.convert(inner[1], item, (*at, k)) for k, item in value.items()}
        if kind is Any:
            return value
        if hasattr(kind, "__dataclass_fields__"):
            return self.build(kind, value, at)
        return self.scalar(kind, value, at)

    def scalar(self, kind: type, value: Any, at: At) -> Any:
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)  # device: 0
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.refuse(at, f"must be {kind.__name__}, got {value!r}")
        return value
