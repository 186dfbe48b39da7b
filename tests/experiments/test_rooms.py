"""The house of the comparisons: no module is in a circle of imports, those inside functions counted."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_import_circle() -> None:
    modules = {_name(path): path for path in (ROOT / "experiments").rglob("*.py")}
    uses = {name: _imports(path, modules) - {name} for name, path in modules.items()}
    order = list(TopologicalSorter(uses).static_order())  # raises CycleError, which names the circle
    assert order.index("experiments.spec.spec") < order.index("experiments.run.plan") < order.index("experiments.cli")


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, modules: dict[str, Path]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & modules.keys() or {node.module or ""}
    return found & modules.keys()
