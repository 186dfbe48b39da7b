"""docs/catalogue.md and docs/blocks are what docs/catalogue.py makes from registry, docstrings and measurements."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from yoloplug import BLOCKS
from yoloplug.cli import listing, main
from yoloplug.cli.block_page import formula_value, page
from yoloplug.files import write_csv

DOCS = Path(__file__).parent.parent / "docs"
REMEDY = "run python docs/catalogue.py --pages-only"

_spec = importlib.util.spec_from_file_location("catalogue", DOCS / "catalogue.py")
assert _spec is not None and _spec.loader is not None
catalogue = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(catalogue)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_page_is_what_the_docstrings_say(name):
    text = page(BLOCKS[name])
    assert (DOCS / "blocks" / f"{name}.md").read_text(encoding="utf-8") == text, REMEDY
    for title in ("Mathematics", "When to use it", "In a model YAML", "Arguments and options", "Cost", "Paper"):
        assert f"\n## {title}\n" in text, f"the docstrings of {name} give nothing for {title!r}"
    assert text.count("```") % 2 == 0 and "<class" not in text and "Union[" not in text


def test_no_page_of_a_block_that_is_gone():
    assert {file.stem for file in (DOCS / "blocks").glob("*.md")} == set(BLOCKS), REMEDY


def test_catalogue_has_one_complete_row_a_block():
    rows = catalogue.read_rows(DOCS / "catalogue.csv")
    text = (DOCS / "catalogue.md").read_text(encoding="utf-8")
    assert text == catalogue.catalogue(rows, BLOCKS.values()), REMEDY
    assert re.findall(r"^\| \[(\w+)\]", text, re.M) == sorted(BLOCKS, key=str.lower)
    for name, row in rows.items():
        assert all(row.values()), f"{name}: empty cell"
        assert float(row["parity_error"]) <= 1e-8
        assert int(row["params"]) == pytest.approx(
            formula_value(BLOCKS[name].params, BLOCKS[name], 64, (80, 80)), rel=0.01
        )


def row(name: str) -> dict[str, str]:
    numbers = {key: "1" for key in catalogue.COLUMNS}
    return numbers | {"block": name, "references": "gnconv_dw7_o2; by hand", "date": "2026-01-01", "protocol": "here"}


def test_missing_measurements_name_their_blocks():
    notes = [
        {"kind": "parity", "block": "gnConv", "reference": "a", "error": 1e-12},
        {"kind": "parity", "block": "gnConv", "reference": "a", "error": 3e-12},
        {"kind": "parity", "block": "GBC", "reference": "b", "error": 0.0},
        {"kind": "onnx", "block": "gnConv", "reference": "eager", "error": 1e-6},
    ]
    assert catalogue.collect(notes, ["gnConv"])["gnConv", "parity"] == {"a": 3e-12}
    with pytest.raises(catalogue.Incomplete, match="no onnx measurement of GBC;"):
        catalogue.collect(notes, ["gnConv", "GBC"])
    with pytest.raises(catalogue.Incomplete, match="no parity measurement of DCNv2;"):
        catalogue.collect(notes, ["DCNv2"])
    two = [BLOCKS["gnConv"], BLOCKS["GBC"]]
    with pytest.raises(catalogue.Incomplete, match=r"no measurement of GBC; run python docs/catalogue.py --only GBC"):
        catalogue.catalogue({"gnConv": row("gnConv"), "GBC": row("GBC") | {"step_ratio": ""}}, two)


def test_rows_survive_the_file_and_name_their_reference_code(tmp_path):
    rows = {name: row(name) for name in ("gnConv", "GBC")}
    write_csv(tmp_path / "rows.csv", catalogue.COLUMNS, rows.values())
    assert catalogue.read_rows(tmp_path / "rows.csv") == rows
    text = catalogue.catalogue(rows, [BLOCKS["gnConv"], BLOCKS["GBC"]])
    assert "by hand, raoyongming/HorNet@ac9e210" in text
    assert "- 2026-01-01: here; 1" in text


def test_pages_of_gone_blocks_are_removed(tmp_path):
    (tmp_path / "Gone.md").write_text("old")
    catalogue.write_pages(tmp_path, [BLOCKS["gnConv"]])
    assert [file.name for file in tmp_path.iterdir()] == ["gnConv.md"]


def test_the_listing_is_what_the_registry_says():
    assert listing.TABLE.read_text(encoding="utf-8") == listing.rows(BLOCKS.values()), REMEDY


@pytest.mark.parametrize("words", ["--help", "blocks", "show gnConv", "models", "swap --help", "inspect --help"])
def test_listing_needs_neither_torch_nor_ultralytics(words):
    """In a process of its own, whose processor time stays below half a second."""
    code = f"""import resource, sys; from yoloplug.cli import listing, main
try: main({words.split()})
except SystemExit: pass
heavy = {{"torch", "numpy", "ultralytics", "yoloplug.blocks"}} & set(sys.modules)
print(heavy or "light", resource.getrusage(resource.RUSAGE_SELF).ru_utime, file=sys.stderr)"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    light, seconds = run.stderr.split()
    assert light == "light" and float(seconds) <= 0.5 and run.stdout


def test_unknown_block_is_refused(capsys):
    assert catalogue.main(["--only", "gnConvv"]) == 1
    assert "unknown blocks gnConvv; known: " in capsys.readouterr().err


def test_show_prints_the_page(capsys):
    assert main(["show", "gnConv"]) == 0
    assert capsys.readouterr().out == page(BLOCKS["gnConv"])
    for wrong, answer in (("nConv", "did you mean gnConv"), ("C2f_dbb", "did you mean DBB"), ("?", "known: ACBlock, ")):
        assert main(["show", wrong]) == 2
        assert f"unknown block '{wrong}'; {answer}" in capsys.readouterr().err
