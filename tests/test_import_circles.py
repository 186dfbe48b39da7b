"""No module is in a circle of imports, those inside functions counted."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDERS = {
    "experiments": ("spec.spec", "run.plan", "cli"),
    "segplug": ("errors", "cli"),
    "yoloplug": ("registry", "hosts", "bridge", "cli"),
}
"""Package -> modules, each imported before the next."""


@pytest.mark.parametrize("package", ORDERS)
def test_no_import_circle(package: str) -> None:
    modules = {_name(path): path for path in (ROOT / package).rglob("*.py")}
    uses = {name: _imports(path, modules) - {name} for name, path in modules.items()}
    order = list(TopologicalSorter(uses).static_order())  # raises CycleError, which names the circle
    places = [order.index(f"{package}.{name}") for name in ORDERS[package]]
    assert places == sorted(places)


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
