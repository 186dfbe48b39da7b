"""Which stored values of a data set's masks mean crack: detected from all files together, refused when in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Pixels
from segplug.data.labels import NO_LABEL
from segplug.errors import SegplugError

CUT = 127
FEW_VALUES = 16  # up to here values may be class ids; grey edges have more
DARK, BRIGHT = 64, 192  # a soft mask's modes: below, from


@dataclass(frozen=True)
class MaskRules:
    """What the user said about the values. All None: detect.

    two_values: background and crack, such as (255, 0) for black cracks on white. crack_values: class ids that are
    crack, all others background. ignore_value: the value of pixels without label; -1: there is none.
    """

    two_values: tuple[int, int] | None = None
    crack_values: tuple[int, ...] | None = None
    ignore_value: int | None = None

    @staticmethod
    def parse(mask_values: str | None, crack_values: str | None, ignore_value: int | None) -> MaskRules:
        """From "255/0", "1,2" and 255. Raises SegplugError on anything else."""
        if mask_values is not None and crack_values is not None:
            raise SegplugError("mask_values and crack_values exclude each other", "give one")
        two = None if mask_values is None else _numbers("mask_values", mask_values, "/", "255/0 (background/crack)")
        if two is not None and (len(two) != 2 or two[0] == two[1]):
            raise SegplugError(f"mask_values must be two values like 255/0 (background/crack), got {mask_values!r}")
        crack = None if crack_values is None else _numbers("crack_values", crack_values, ",", "1,2")
        if ignore_value is not None and not -1 <= ignore_value <= 255:
            raise SegplugError(f"ignore_value must lie between 0 and 255, or be -1 for none, got {ignore_value}")
        if ignore_value is not None and ignore_value in (*(two or ()), *(crack or ())):
            raise SegplugError(f"{ignore_value} cannot be both ignore_value and a value of background or crack")
        return MaskRules(None if two is None else (two[0], two[1]), crack, ignore_value)


@dataclass(frozen=True)
class Stored:
    """How often each of the 256 values occurs in a mask file, and whether its format is lossy."""

    path: Path
    counts: NDArray[np.integer]
    lossy: bool

    @property
    def values(self) -> list[int]:
        return [int(v) for v in np.flatnonzero(self.counts)]


@dataclass(frozen=True)
class Encoding:
    """`table[stored value]` is 0, 1 or NO_LABEL; `about` says it in words."""

    table: Pixels
    about: str

    def crack_share(self, stored: Stored) -> float:
        """Share of crack among a file's labelled pixels; 0 where there is none."""
        crack, background = (int(stored.counts[self.table == v].sum()) for v in (1, 0))
        return crack / max(1, crack + background)


def find_encoding(files: Sequence[Stored], rules: MaskRules) -> Encoding:
    """The one encoding of all files. Raises SegplugError with file and remedy when there is none, or more than one."""
    without = [_without(f, rules.ignore_value) for f in files]
    if rules.crack_values is not None:
        encoding = _class_ids(without, rules.crack_values, rules.ignore_value)
    elif rules.two_values is not None:
        encoding = _two_values(without, *rules.two_values)
    else:
        encoding = _detected(without)
    if rules.ignore_value is not None and rules.ignore_value >= 0:
        encoding.table[rules.ignore_value] = NO_LABEL
        return Encoding(encoding.table, f"{encoding.about}; {rules.ignore_value} has no label")
    return encoding


def sure_encoding(files: Sequence[Stored], rules: MaskRules) -> Encoding | None:
    """`find_encoding`, and `refuse_inverted` of it; None without files."""
    encoding = find_encoding(files, rules) if files else None
    if encoding is not None:
        refuse_inverted(files, [encoding] * len(files), rules)
    return encoding


def refuse_inverted(files: Sequence[Stored], encodings: Sequence[Encoding], rules: MaskRules) -> None:
    """Raise SegplugError when most masks are mostly crack and the user has not said that this is right."""
    shares = [encoding.crack_share(f) for f, encoding in zip(files, encodings, strict=True)]
    if rules.two_values is not None or rules.crack_values is not None or not shares or np.median(shares) <= 0.5:
        return
    worst = int(np.argmax(shares))
    high = 1 if encodings[worst].table[1] == 1 and files[worst].counts[1] else 255
    raise SegplugError(
        f"{files[worst].path}: {100 * shares[worst]:.0f} % crack, and above 50 % in {sum(s > 0.5 for s in shares)} of "
        f"{len(files)} masks; if cracks are the dark value say --mask-values {high}/0, if this is right 0/{high}"
    )


def _detected(files: Sequence[Stored]) -> Encoding:
    ones = [f for f in files if 1 in f.values and set(f.values) <= {0, 1}]
    full = [f for f in files if 255 in f.values and set(f.values) <= {0, 255}]
    soft = [f for f in files if not set(f.values) <= {0, 1} and not set(f.values) <= {0, 255}]
    for f in soft:
        _refuse_ids(f)
    if ones and (full or soft):
        other = (full or soft)[0]
        raise SegplugError(
            f"{ones[0].path}: mask values 0 and 1, but {other.path.name} reaches {max(other.values)}; save all as "
            "0/255, or say --ignore-value 255 if that marks pixels without label"
        )
    if soft:
        _refuse_unclear(soft)
        about = f"0/255 with grey artefacts in {len(soft)} of {len(files)} files, cut at {CUT}"
        return Encoding(_table(range(CUT + 1, 256)), about)
    if ones:
        return Encoding(_table([1]), "0/1")
    return Encoding(_table([255]), "0/255" if full else "all 0, no crack")


def _refuse_ids(f: Stored) -> None:
    """Few values other than 0/1 and 0/255: class ids, a trimap or a dim mask."""
    if (f.lossy and max(f.values) > CUT) or _soft(f.values):
        return
    shown = ", ".join(map(str, f.values[:6])) + (", …" if len(f.values) > 6 else "")
    message = f"{f.path}: mask values {shown} are neither 0/255 nor 0/1; "
    if f.values[-1] == 255 and set(f.values) <= {0, 1, 255}:
        raise SegplugError(f"{message}if 255 marks pixels without label, say --crack-values 1 --ignore-value 255")
    if f.lossy:
        raise SegplugError(f"{message}binarise it and save it as PNG")
    if len(f.values) == 2:
        low, high = f.values
        raise SegplugError(
            f"{message}if they are background and crack say --mask-values {low}/{high}, if class ids, which "
            f"are crack, as --crack-values {high}"
        )
    raise SegplugError(f"{message}if they are class ids say which are crack, as --crack-values 1,2", "else binarise it")


def _soft(values: Sequence[int]) -> bool:
    """Too many values for class ids, or values close to 0 and, more than one, close to 255."""
    at_the_ends = all(v < DARK // 2 or v >= 256 - DARK // 2 for v in values)
    return max(values) >= BRIGHT and (len(values) > FEW_VALUES or (at_the_ends and values[-2] >= BRIGHT))


def _refuse_unclear(soft: Sequence[Stored]) -> None:
    """Grey values must gather at black and white: at most one in between for two white ones."""
    between, white = (
        sum(int(f.counts[part].sum()) for f in soft) for part in (slice(DARK, BRIGHT), slice(BRIGHT, 256))
    )
    if 2 * between > white:
        worst = max(soft, key=lambda f: int(f.counts[DARK:BRIGHT].sum()))
        raise SegplugError(
            f"{worst.path}: grey mask without two clear modes, neither 0/255 nor 0/1 ({between} pixels of {DARK} to "
            f"{BRIGHT - 1} beside {white} brighter ones in {len(soft)} files); binarise it and save it as PNG"
        )


def _two_values(files: Sequence[Stored], background: int, crack: int) -> Encoding:
    values = np.arange(256)
    table = (abs(values - crack) < abs(values - background)).astype(np.uint8)
    cut = 0
    for f in files:
        other = [v for v in f.values if v not in (background, crack)]
        if other and not f.lossy and len(f.values) <= FEW_VALUES:
            raise SegplugError(
                f"{f.path}: holds {other[0]}, but mask_values says {background}/{crack}; redo one of them"
            )
        cut += bool(other)
    artefacts = f", grey artefacts in {cut} of {len(files)} files cut half-way" if cut else ""
    return Encoding(table, f"background {background}, crack {crack}{artefacts}")


def _class_ids(files: Sequence[Stored], crack: tuple[int, ...], ignore: int | None) -> Encoding:
    found: set[int] = set()
    for f in files:
        if f.lossy and len(f.values) > FEW_VALUES:
            raise SegplugError(f"{f.path}: class ids do not survive a lossy file", "save it as PNG")
        found |= set(f.values)
        if ignore is None and 255 in f.values and 255 not in crack and set(f.values) - {0, 255}:
            raise SegplugError(
                f"{f.path}: holds 255 beside class ids; say --ignore-value 255 if it marks pixels without label, "
                "--ignore-value -1 if it is background"
            )
    if not found & set(crack):
        listed = ", ".join(map(str, sorted(found)))
        raise SegplugError(
            f"{files[0].path.parent}: no mask holds crack_values {', '.join(map(str, crack))}; they hold {listed}"
        )
    ids = ", ".join(map(str, crack))
    return Encoding(_table(crack), f"class ids {', '.join(map(str, sorted(found)))}, crack = {ids}")


def _without(f: Stored, ignore: int | None) -> Stored:
    if ignore is None or ignore < 0:
        return f
    counts = f.counts.copy()
    counts[ignore] = 0
    if not counts.any():
        counts[0] = 1  # nothing labelled: says nothing about the encoding
    return Stored(f.path, counts, f.lossy)


def _table(crack: Sequence[int]) -> Pixels:
    table = np.zeros(256, dtype=np.uint8)
    table[list(crack)] = 1
    return table


def _numbers(name: str, text: str, separator: str, example: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(separator)]
    if not all(part.isdecimal() and len(part) <= 3 and int(part) <= 255 for part in parts):
        raise SegplugError(f"{name} must be values from 0 to 255 like {example}, got {text!r}")
    return tuple(int(part) for part in parts)
