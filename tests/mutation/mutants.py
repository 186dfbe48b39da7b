"""One-place changes of a source file: mutmut's operators, or every number literal, each a `Mutant`.

Left out is what no test should hold: wording for people (strings with a space), docstrings, annotations and names of
types for them, `raise`, and the `strict` of a `zip`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import libcst as cst
from libcst.matchers import Assign, AssignTarget, Name, matches
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import deep_replace
from mutmut.mutation.mutators import mutation_operators, operator_string

TABLE = re.compile(r"\dx\d+ \d")
Operators = list[tuple[type[cst.CSTNode], Callable[[cst.CSTNode], Iterable[cst.CSTNode]]]]


def code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


@dataclass(frozen=True)
class Mutant:
    """`lines` are those of the function it stands in, or (0, 0): what a test must run to be able to see it."""

    path: str
    line: int
    lines: tuple[int, int]
    module: cst.Module = field(repr=False)
    old: cst.CSTNode = field(repr=False)
    new: cst.CSTNode = field(repr=False)

    def text(self) -> str | None:
        """The changed file; None where it would not compile or is the same."""
        changed = deep_replace(self.module, self.old, self.new).code  # type: ignore[union-attr]
        try:
            compile(changed, self.path, "exec")
        except SyntaxError:
            return None
        return None if changed == self.module.code else changed

    def __str__(self) -> str:
        before, after = (" ".join(code(node).split()) for node in (self.old, self.new))
        return f"{self.path}:{self.line}: {before} -> {after}"


def other_number(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Integers one more, other numbers twice as large."""
    if isinstance(node, cst.Integer):
        yield node.with_changes(value=repr(node.evaluated_value + 1))
    elif isinstance(node, cst.Float):
        yield node.with_changes(value=repr(node.evaluated_value * 2 or 1.0))


def other_key(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A string that is a name or a key; wording has spaces."""
    if isinstance(node, cst.SimpleString) and " " not in node.value:
        yield from list(operator_string(node))[:1]


def other_width(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Each number of a table's text, such as "1x1 96, pool", one more."""
    if isinstance(node, cst.SimpleString) and TABLE.search(node.value) and len(node.quote) == 1:  # no docstring
        for found in re.finditer(r"\d+", node.value):
            yield node.with_changes(
                value=f"{node.value[: found.start()]}{int(found[0]) + 1}{node.value[found.end() :]}"
            )


NUMBERS: Operators = [(cst.BaseNumber, other_number), (cst.SimpleString, other_width)]
ALL: Operators = [(kind, {operator_string: other_key}.get(operator, operator)) for kind, operator in mutation_operators]


LEFT_OUT = cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.Raise


def _public_names(node: cst.CSTNode) -> bool:
    return matches(node, Assign(targets=[AssignTarget(target=Name("__all__"))]))


def _alias(node: cst.CSTNode) -> bool:
    """A name that only annotations use."""
    made = node.value if isinstance(node, cst.Assign) else None
    of = made.value if isinstance(made, cst.Subscript) else made.func if isinstance(made, cst.Call) else None
    return of is not None and code(of) in ("NDArray", "tuple", "dict", "list", "Callable", "Literal", "TypeVar")


def _strict(node: cst.CSTNode) -> list[str]:
    """What a call says of `strict`: zip's, of lengths that are equal by construction."""
    arguments = node.args if isinstance(node, cst.Call) else [node] if isinstance(node, cst.Arg) else ()
    return [code(a.value) for a in arguments if a.keyword is not None and a.keyword.value == "strict"]


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, operators: Operators) -> None:
        super().__init__()
        self.operators, self.functions = operators, [(0, 0)]
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, int, tuple[int, int]]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if (
            isinstance(node, LEFT_OUT)
            or _public_names(node)
            or _alias(node)
            or (isinstance(node, cst.Arg) and _strict(node))
        ):
            return False
        place = self.get_metadata(PositionProvider, node, None)
        if isinstance(node, cst.FunctionDef) and len(self.functions) == 1:
            self.functions.append((place.start.line, place.end.line))
        for kind, operator in self.operators if place else ():
            if isinstance(node, kind):
                for new in operator(node):
                    if _strict(node) == _strict(new):
                        self.found.append((node, new, place.start.line, self.functions[-1]))
        return True

    def on_leave(self, node: cst.CSTNode) -> None:
        if isinstance(node, cst.FunctionDef):
            place = self.get_metadata(PositionProvider, node)
            if self.functions[-1] == (place.start.line, place.end.line):
                self.functions.pop()


def mutants(root: Path, path: str, operators: Operators) -> list[Mutant]:
    """All of one file."""
    wrapper = MetadataWrapper(cst.parse_module((root / path).read_text()))
    visitor = _Visitor(operators)
    wrapper.visit(visitor)
    return [Mutant(path, line, lines, wrapper.module, old, new) for old, new, line, lines in visitor.found]
