"""The hook in `parse_model`: one branch of ours before Ultralytics' own chain of row kinds.

Ultralytics decides from the class named in a YAML row how its arguments are made (`if m in base_modules: … elif …`).
We read the source of the installed `parse_model`, put `if m in <our hosts>: …` before that chain, which becomes its
`else` untouched, and swap the compiled code object in, so that every reference to the function is served. A release
whose source does not have exactly one such chain stays as it is, and our names raise an error that says so.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch

from yoloplug.bridge.patches.restricted import is_restricted, refuse_code
from yoloplug.names import did_you_mean
from yoloplug.registry import BLOCKS
from yoloplug.version import __version__

TESTED = "8.2.0 to 8.4.190"
PARAMETERS = ["d", "ch", "verbose"]
PREPARE, HOSTS, RULE = "__yoloplug_prepare__", "__yoloplug_hosts__", "__yoloplug_rule__"


refusal = ""
"""Why the installed release could not be extended."""


class UnsupportedUltralytics(RuntimeError):
    """The installed Ultralytics release has a `parse_model` that yoloplug cannot extend."""


def patch(tasks: ModuleType) -> None:
    """Extend `tasks.parse_model` in place; on an unknown release leave it and install names that explain."""
    try:
        code = _extended_code(tasks)
    except (UnsupportedUltralytics, OSError, SyntaxError) as error:
        global refusal
        refusal = str(error)
        _install_refusals(tasks, refusal)
        return
    names = _Names(tasks)
    tasks.__dict__.update({PREPARE: names.prepare, HOSTS: names.classes, RULE: _rule})
    tasks.parse_model.__code__ = code


def _extended_code(tasks: ModuleType) -> Any:
    function = ast.parse(inspect.getsource(tasks.parse_model)).body[0]
    assert isinstance(function, ast.FunctionDef)
    named = [argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)]
    if named != PARAMETERS:
        raise UnsupportedUltralytics(f"parse_model takes ({', '.join(named)}) instead of ({', '.join(PARAMETERS)})")
    body, index = _row_chain(function)
    stores = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    results = ["m", "c2", "args", "n"] + (["legacy"] if "legacy" in stores else [])
    missing = {"i", "f", "n", "m", "args", "ch", "c2", "width", "max_channels"} - stores
    if missing:
        raise UnsupportedUltralytics(f"parse_model does not use the names {sorted(missing)}")
    legacy = "legacy" if "legacy" in results else "None"
    targets = ", ".join(results if legacy != "None" else [*results, "_"])
    rule = f"{targets} = {RULE}(m, d, i, f, n, args, ch, width, max_channels, {legacy})"
    branch = ast.parse(f"if m in {HOSTS}:\n    {rule}").body[0]
    assert isinstance(branch, ast.If)
    branch.orelse = [body[index]]
    body[index] = branch
    function.body.insert(0, ast.parse(f"d = {PREPARE}(d)").body[0])
    _, first_line = inspect.getsourcelines(tasks.parse_model)
    ast.increment_lineno(function, first_line - 1)
    module = ast.fix_missing_locations(ast.Module([function], []))
    namespace: dict[str, Any] = {}
    exec(compile(module, str(tasks.__file__), "exec"), tasks.__dict__, namespace)
    return namespace["parse_model"].__code__


def _row_chain(function: ast.FunctionDef) -> tuple[list[ast.stmt], int]:
    """The statement list and index of the one `if m in …` chain in the loop over rows."""
    found = [
        (loop.body, i)
        for loop in ast.walk(function)
        if isinstance(loop, ast.For)
        for i, statement in enumerate(loop.body)
        if isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and ast.unparse(statement.test).startswith("m in ")
    ]
    if len(found) != 1:
        raise UnsupportedUltralytics(f"parse_model has {len(found)} chains `if m in ...` where one was expected")
    return found[0]


class _Names:
    """Puts the hosts that a YAML names into the namespace of `ultralytics.nn.tasks`, on first use."""

    def __init__(self, tasks: ModuleType) -> None:
        self.namespace = tasks.__dict__
        self.upstream = frozenset(self.namespace)
        self.classes: set[type] = set()

    def prepare(self, d: Mapping[str, Any]) -> Mapping[str, Any]:
        """Runs first in `parse_model`: returns the model dict with our rows made safe for the stock loop."""
        rows = [*d["backbone"], *d["head"]]
        if is_restricted():
            refuse_code(d, self.namespace)
        names = {row[2] for row in rows if isinstance(row, list) and len(row) > 2 and isinstance(row[2], str)}
        foreign = {n for n in names - self.upstream if not n.startswith(("nn.", "torchvision.ops."))}  # stock's win
        if not foreign:
            return d
        from yoloplug import hosts

        for name in foreign:
            if name not in hosts.host_names():
                raise KeyError(_unknown(d, name))
            self.namespace[name] = hosts.host(name)
            self.classes.add(self.namespace[name])
        made = [_quoted(d, i, row) if row[2:3] and row[2] in foreign else row for i, row in enumerate(rows)]
        split = len(d["backbone"])
        return {**d, "backbone": made[:split], "head": made[split:]}


def _unknown(d: Mapping[str, Any], name: str) -> str:
    from yoloplug.bridge.row_arguments import module_names

    where = d.get("yaml_file", "model YAML")
    index = next(i for i, row in enumerate([*d["backbone"], *d["head"]]) if row[2:3] == [name])
    hint = did_you_mean(name, module_names()) or "; it is neither in Ultralytics nor in yoloplug;"
    return f"{where}, row {index}: unknown module {name!r}{hint} (all of ours: yoloplug blocks)"


def _quoted(d: Mapping[str, Any], i: int, row: list[Any]) -> list[Any]:
    """A row whose strings survive the stock loop, which replaces 'f', 'n' or 'act' by its own local variables."""
    if len(row) != 4 or not isinstance(row[3], list):
        raise ValueError(
            f"{d.get('yaml_file', 'model YAML')}, row {i}: a row is [from, repeats, module, args], got {row}"
        )
    f, n, m, args = row
    if args and isinstance(args[-1], dict):
        args = [*args[:-1], {key: None if value == "None" else value for key, value in args[-1].items()}]
    return [f, n, m, [repr(a) if isinstance(a, str) and a != "None" else a for a in args]]


def _rule(
    m: type, d: Mapping[str, Any], i: int, f: int | list[int], n: int, args: list[Any], ch: list[int], width: float,
    max_channels: float, legacy: bool | None,
) -> tuple[type, int, list[Any], int, bool | None]:  # fmt: skip
    """(class, c2, constructor args, repeats left, legacy) of one of our rows; the counterpart of the stock chain.

    Width scales like every stock row, also when c2 equals nc; a row without width, `[]` or `[None, 5]`, keeps its
    input's at every scale. C3k2 rows ask for the YOLO11 head (`legacy` False) and
    for C3k inside at scales m, l and x, as the stock C3k2 does. Wrong arguments raise an error that names the row.
    """
    from yoloplug.hosts import placed

    try:
        c2, args, n, legacy = _arguments(m, d, f, n, args, ch, width, max_channels, legacy)
        made, args = placed(m, args)
        with torch.device("meta"):  # a trial without memory, so that the error can say where it comes from
            made(*args)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{d.get('yaml_file', 'model YAML')}, row {i}: {m.__name__}: {error}") from None
    return made, c2, args, n, legacy


def _arguments(
    m: Any, d: Mapping[str, Any], f: int | list[int], n: int, args: list[Any], ch: list[int], width: float,
    max_channels: float, legacy: bool | None,
) -> tuple[int, list[Any], int, bool | None]:  # fmt: skip
    from ultralytics.utils.ops import make_divisible

    keeps_width = not args or args[0] is None or isinstance(args[0], dict)
    if not keeps_width and (type(args[0]) is not int or args[0] < 1):
        raise TypeError(f"the first argument is the width, a whole number from 1 on, got {args}")
    is_row = not m.__name__.startswith(("C2f_", "C3_", "C3k2_"))
    conditioned = is_row and isinstance(f, list) and len(f) == 2 and BLOCKS[m.block_name].conditioned
    if not isinstance(f, int) and not conditioned:
        raise ValueError(f"takes one input, got from={f}")
    sources = f if isinstance(f, list) else [f]
    c1 = ch[sources[0]]
    c2 = c1 if keeps_width else int(make_divisible(min(args[0], max_channels) * width, 8))
    args = args[1:] if args[:1] == [None] or not keeps_width else args[:]
    options = [args.pop()] if args and isinstance(args[-1], dict) else []
    if conditioned:
        options = [{"c_condition": ch[sources[1]], **(options[0] if options else {})}]
    if is_row:
        k_and_s = args + [3, 1][len(args) :] if options else args
        if n > 1 and (c1 != c2 or k_and_s[1:2] not in ([], [1])):
            raise ValueError(
                f"{n} repeats change width or size more than once ({c1} to {c2} channels, arguments {k_and_s}); "
                "give the first one a row of its own"
            )
        return c2, [c1, c2, *k_and_s, *options], n, legacy
    if m.__name__.startswith("C3k2_"):
        legacy = False
        scale = d.get("scale") or next(iter(d.get("scales") or {}), "")
        if scale in {"m", "l", "x"}:
            args[:1] = [True]
    return c2, [c1, c2, n, *args, *options], 1, legacy


def _install_refusals(tasks: ModuleType, reason: str) -> None:
    import ultralytics

    from yoloplug.hosts import host_names

    message = (
        f"yoloplug {__version__} cannot add its blocks to ultralytics {ultralytics.__version__}: {reason}. "
        f"Tested releases: {TESTED}; install one of them, or a newer yoloplug. Stock models are not affected."
    )

    def refuse(self: object, *args: object) -> None:
        raise UnsupportedUltralytics(message)

    for name in host_names():
        if name not in tasks.__dict__:
            tasks.__dict__[name] = type(name, (tasks.nn.Module,), {"__init__": refuse, "__module__": "yoloplug.hosts"})
