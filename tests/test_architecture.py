"""The house rules that a reader relies on: imports run one way, every block is complete, files stay small."""

import ast
import re
import sys
from pathlib import Path

import pytest

from yoloplug import BLOCKS
from yoloplug.bridge.yaml_files import model_yamls

ROOT = Path(__file__).parent.parent
PACKAGES = ("yoloplug", "segplug", "experiments")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Layer -> what it must never import, at module level or inside a function.
FORBIDDEN = {
    "yoloplug/__init__": ("torch", "ultralytics"),
    "yoloplug/boot": ("torch", "ultralytics", "inspect", "ast", "typing"),
    "yoloplug/files": ("torch", "ultralytics", "numpy", "yoloplug", "segplug", "experiments"),
    "yoloplug/names": ("torch", "ultralytics", "numpy", "yoloplug", "segplug", "experiments"),
    "yoloplug/errors": ("torch", "ultralytics", "numpy", "yoloplug", "segplug", "experiments"),
    "yoloplug/terminal": ("torch", "ultralytics", "numpy", "yoloplug", "segplug", "experiments"),
    "yoloplug/registry": ("torch", "ultralytics", "yoloplug"),
    "yoloplug/blocks": ("ultralytics", "yoloplug.hosts", "yoloplug.bridge", "yoloplug.cli", "segplug", "experiments"),
    "yoloplug/native": (
        "ultralytics",
        "yoloplug.blocks",
        "yoloplug.hosts",
        "yoloplug.bridge",
        "segplug",
        "experiments",
    ),
    "yoloplug/native/build": ("torch", "platformdirs", "yoloplug"),  # the build hook of the wheel loads it alone
    "yoloplug/native/library": ("torch",),
    "yoloplug/cost/flops": ("ultralytics", "yoloplug.bridge", "segplug", "experiments"),
    "yoloplug/look/": ("ultralytics", "yoloplug.hosts", "yoloplug.bridge", "yoloplug.cli", "segplug", "experiments"),
    "yoloplug/weights": ("ultralytics", "yoloplug.bridge", "yoloplug.cli", "segplug", "experiments"),
    "yoloplug/preserve": ("ultralytics", "yoloplug.hosts", "yoloplug.bridge", "yoloplug.cli", "segplug", "experiments"),
    "yoloplug/options": ("ultralytics", "yoloplug.hosts", "yoloplug.bridge", "yoloplug.cli", "segplug", "experiments"),
    "yoloplug/hosts": ("yoloplug.bridge", "yoloplug.cli", "segplug", "experiments"),
    "yoloplug/bridge": ("yoloplug.cli", "segplug", "experiments"),
    "yoloplug": ("segplug", "experiments"),
    "segplug": ("ultralytics", "experiments"),
}

# Room of segplug -> the rooms that its files may import, and whether torch. What is not listed is above it.
BARE = {"arrays", "errors", "notes"}
PLAIN = BARE | {"settings", "yaml_file"}
ROOMS: dict[str, tuple[set[str], bool]] = {
    "arrays": (set(), False),
    "notes": (set(), False),
    "errors": (set(), False),
    "settings": ({"errors"}, False),
    "yaml_file": ({"errors", "settings"}, False),
    "page": ({"errors"}, False),
    "weights": ({"errors"}, False),
    "draw": (BARE | {"page"}, False),
    "data": (PLAIN, True),
    "metrics": (BARE, False),
    "models": (BARE, True),
    "losses": (BARE | {"data"}, True),
    "inference": (BARE | {"models", "weights"}, True),
    "training": (PLAIN | {"data", "draw", "inference", "losses", "metrics", "models", "page"}, True),
    "evaluation": (PLAIN | {"data", "draw", "inference", "measurement", "metrics", "models"}, False),
    "prediction": (PLAIN | {"data", "draw", "inference", "page", "weights"}, False),
    "measurement": (PLAIN | {"data", "draw", "page", "prediction"}, False),
    "look": (BARE | {"data", "draw", "inference"}, True),
}
# The same of yoloplug; the command line is above all of it.
WORDS = {"errors", "names"}
ROOMS_OF_YOLOPLUG: dict[str, tuple[set[str], bool]] = {
    "boot": (set(), False),
    "errors": (set(), False),
    "names": (set(), False),
    "files": (set(), False),
    "version": (set(), False),
    "limits": ({"errors"}, False),
    "terminal": ({"names"}, False),
    "registry": (WORDS, False),
    "native": (set(), True),
    "blocks": ({"native", "registry"}, True),
    "preserve": ({"blocks"}, True),
    "options": ({"names", "preserve", "registry"}, True),
    "look": ({"blocks"}, True),
    "hosts": (WORDS | {"blocks", "options", "preserve", "registry", "version"}, True),
    "weights": ({"hosts", "names"}, True),
    "cost": ({"bridge", "errors", "files", "hosts", "limits", "modelfile", "registry"}, True),
    "modelfile": (WORDS | {"bridge", "files", "hosts", "limits", "registry"}, False),
    "bridge": (
        WORDS
        | {
            "blocks",
            "cost",
            "files",
            "hosts",
            "limits",
            "look",
            "modelfile",
            "native",
            "registry",
            "version",
            "weights",
        },
        True,
    ),
}
FLAT = 10
"""Files of one folder, beside `__init__.py` and `__main__.py`; of the catalogue each is a mechanism."""


def imported(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_imports_run_one_way(layer: str) -> None:
    files = [path for path in FILES if path.relative_to(ROOT).with_suffix("").as_posix().startswith(layer)]
    assert files
    for path in files:
        wrong = {n for n in imported(path) for bad in FORBIDDEN[layer] if n == bad or n.startswith(bad + ".")}
        if layer in ("yoloplug/registry", "yoloplug/terminal"):
            wrong = {name for name in wrong if name.split(".")[1:2] not in (["registry"], ["names"], ["errors"])}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_only_the_bridge_knows_ultralytics() -> None:
    """And the hosts, whose bases are its layers; trainer, runs of its modes and timed steps get the public `YOLO`."""
    inside = ("yoloplug/bridge/", "yoloplug/hosts.py")
    public = {
        f"experiments/{file}.py": {"ultralytics", "ultralytics.YOLO"}
        for file in (
            "trainers/yolo/train",
            "modes/modes",
            "modes/place",
            "modes/__main__",
            "speed/processes/stock_step",
        )
    }
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(inside):
            known = {module for module in imported(path) if module.split(".")[0] == "ultralytics"}
            assert known <= public.get(name, set()), f"{name} imports {sorted(known)}"


def test_segplug_uses_little_of_yoloplug() -> None:
    """Blocks, their registry and kernels, drawings of any network's inside, plain modules of the standard library."""
    allowed = re.compile(r"yoloplug(\.(blocks|native|registry|look|files|names|terminal|limits|errors)(\..+)?)?")
    for path in FILES:
        if path.is_relative_to(ROOT / "segplug"):
            wrong = {name for name in imported(path) if name.startswith("yoloplug") and not allowed.fullmatch(name)}
            assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


PACKAGE_ROOMS = [("segplug", room) for room in ROOMS] + [("yoloplug", room) for room in ROOMS_OF_YOLOPLUG]


@pytest.mark.parametrize(("package", "room"), PACKAGE_ROOMS)
def test_rooms_know_what_is_below_them(package: str, room: str) -> None:
    below, torch = (ROOMS if package == "segplug" else ROOMS_OF_YOLOPLUG)[room]
    files = [p for p in FILES if p.relative_to(ROOT).with_suffix("").parts[:2] == (package, room)]
    assert files, "no such room"
    for path in files:
        names = imported(path)
        rooms = {n.split(".")[1] for n in names if n.startswith(f"{package}.")}
        assert rooms <= below | {room}, f"{path.relative_to(ROOT)} imports {sorted(rooms - below - {room})}"
        assert torch or "torch" not in {n.partition(".")[0] for n in names}, f"{path.relative_to(ROOT)} imports torch"


@pytest.mark.parametrize(("package", "rooms"), [("segplug", ROOMS), ("yoloplug", ROOMS_OF_YOLOPLUG)])
def test_every_room_has_its_rule(package: str, rooms: dict[str, tuple[set[str], bool]]) -> None:
    found = {p.relative_to(ROOT).with_suffix("").parts[1] for p in FILES if p.relative_to(ROOT).parts[0] == package}
    assert found - {"__main__", "_start"} == {*rooms, "cli", "__init__"}


def test_no_folder_is_a_heap() -> None:
    for folder in {p.parent for p in FILES} - {ROOT / "yoloplug/blocks"}:
        flat = [p.name for p in folder.glob("*.py") if not p.name.startswith("__")]
        assert len(flat) <= FLAT, f"{folder.relative_to(ROOT)}: {len(flat)} flat files: which room is missing?"


def test_no_six_lines_stand_twice() -> None:
    """Signatures aside: a constructor's is what a YAML row may say, an autograd function's is its operation's."""
    places: dict[tuple[str, ...], str] = {}
    for path in FILES:
        text, aside = path.read_text(encoding="utf-8"), set[int]()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                aside |= set(range(node.lineno, node.body[0].lineno))
            elif isinstance(node, (ast.Import, ast.ImportFrom)) or (
                isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            ):
                aside |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if number not in aside]
        lines = [(number, line) for number, line in numbered if re.match(r"[^#]*\w", line) and line != "@property"]
        for start in range(len(lines) - 5):
            place = f"{path.relative_to(ROOT)}:{lines[start][0]}"
            other = places.setdefault(tuple(line for _, line in lines[start : start + 6]), place)
            assert other == place, f"{other} and {place} begin six equal lines: one function for both"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_type_is_named_once(package: str) -> None:
    """Public classes and aliases; an option's values (a Literal) may bear the option's name in every block.

    `Row` of experiments is a dictionary of JSON wherever no cell is meant, whose row is typed.
    """
    named: dict[str, tuple[str, str]] = {}
    for path in (path for path in FILES if path.is_relative_to(ROOT / package)):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                name, said = node.name, ast.unparse(node)
            elif isinstance(node, ast.Assign) and re.fullmatch(r"[A-Z]+[a-z]\w*", ast.unparse(node.targets[0])):
                name, said = ast.unparse(node.targets[0]), ast.unparse(node.value)
            else:
                continue
            if not name.startswith("_") and not said.startswith("Literal[") and name != "Row":
                where, before = named.setdefault(name, (path.name, said))
                assert said == before, f"{name} in {where} and in {path.name}: two things, two names"


PLACES = re.compile(r"(?<![\w./-])(?:yoloplug|segplug|experiments|tests|docs|model_yamls)/[\w./-]*\w/?(?![\w*{])")


def test_pages_name_places_that_exist() -> None:
    """Files, folders and modules that run; what is to be written bears `my` in its name."""
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        named = {place for place in PLACES.findall(page.read_text(encoding="utf-8")) if "my" not in place.lower()}
        named |= {m.replace(".", "/") for m in re.findall(r"python -m (experiments[.\w]*\w)", page.read_text("utf-8"))}
        gone = sorted(place for place in named if not ((ROOT / place).exists() or (ROOT / f"{place}.py").exists()))
        assert not gone, f"{page.relative_to(ROOT)} names {gone}"


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_every_block_is_complete(name: str) -> None:
    block = BLOCKS[name]
    rows = re.compile(rf"^  - \[.*\d, ((C2f|C3|C3k2)_)?{name}, ", re.MULTILINE)
    assert any(rows.search(path.read_text(encoding="utf-8")) for path in model_yamls().values()), "in no model YAML"
    assert block.summary.endswith("."), "the class docstring must begin with one sentence"
    assert block.paper.startswith(("arXiv:", "doi:")), block.paper
    tests = "".join(path.read_text() for path in (ROOT / "tests/yoloplug/blocks").glob("test_*.py"))
    assert name in tests, "no test of its own"
    assert f"`{name}`" in (ROOT / "README.md").read_text(encoding="utf-8"), "README's table does not name it"
    module = sys.modules[block.cls.__module__].__doc__ or ""
    assert "Paper:" in module, "the module docstring must name the paper and its section"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_small_and_documented(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300, "split it"
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
