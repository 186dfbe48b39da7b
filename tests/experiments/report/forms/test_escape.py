"""Class names, file names and spec texts are shown in every format as they are, and never obeyed."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from experiments.report import write_report
from experiments.report.comparison import compare
from experiments.report.forms.escape import csv_text, latex, markdown
from experiments.report.forms.render import _fence
from experiments.report.forms.table_csv import csv_table
from experiments.report.rows import read_run

CLASS = "<img src=x onerror=a()> *b* [c](http://d) `e` | f $\\bad$ &lt; \\h _i_\x1b[31m\u202e"
SHOWN = CLASS.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")


@pytest.mark.parametrize(
    "text",
    [SHOWN, "# no heading", "snake_case_name", "[-0.1, +0.2]; p < 0.05", "ods_* at, ois_*", "[x]: y", "a<b>c", "a & b"],
)
def test_markdown_shows_the_text_itself(text: str) -> None:
    """Read by a CommonMark parser as a table's cell, it is one piece of text and no markup."""
    tokens = MarkdownIt("commonmark").enable("table").parse(f"| head |\n|---|\n| {markdown(text)} |")
    cell = next(token for token in reversed(tokens) if token.type == "inline")
    assert {child.type for child in cell.children or []} <= {"text", "text_special"}
    assert "".join(child.content for child in cell.children or []) == text


@pytest.mark.parametrize("text", ["plain", "a `b` c", "```sh\n# out\n```", "`````\n# out\n`````", "```` x"])
def test_a_spec_cannot_leave_its_block_of_code(text: str) -> None:
    fence = _fence(text)
    (block,) = MarkdownIt("commonmark").parse(f"{fence}yaml\n{text}\n{fence}\n")
    assert (block.type, block.content) == ("fence", f"{text}\n")


def test_plain_names_stay_readable_in_markdown() -> None:
    for text in ("yolov8n-C2f_gnConv", "[-0.1, +0.2]", "p < 0.05", "2TP/(2TP+FP+FN)", "deeplabv3plus-tu-large_100"):
        assert markdown(text) == text


def test_latex_has_no_live_command() -> None:
    assert latex(r"\input{/etc/passwd} 5 % a_b^2 ~#$&") == (
        r"\textbackslash{}input\{/etc/passwd\} 5 \% a\_b\textasciicircum{}2 \textasciitilde{}\#\$\&"
    )
    assert latex('a<b>c|"`±²') == r"a$<$b$>$c\textbar{}''\textasciigrave{}$\pm$$^2$"
    assert latex("\x1b[31m") == r"\textbackslash{}x1b[31m"


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)"])
def test_a_formula_in_a_csv_is_text(text: str) -> None:
    assert csv_text(text) == f"'{text}" and csv_text(f"a{text}") == f"a{text}"


def test_every_format_of_a_whole_report(tmp_path: Path, make_row: Any) -> None:
    for label in ("base", "plug_in"):
        make_row(tmp_path, label, AP=0.4, changes={"per_class": {CLASS: 0.5}, "dataset": "=data"})
    report = write_report([tmp_path], tmp_path / "report")
    texts = {kind: (report.parent / kind).read_text() for kind in ("report.html", "report.md", "table.tex")}
    for kind, text in texts.items():
        assert "\x1b" not in text and "\u202e" not in text, kind
    assert "<img src=x" not in texts["report.html"] and "&lt;img src=x" in texts["report.html"]
    tokens = MarkdownIt("commonmark").enable("table").parse(texts["report.md"])
    cells = ["".join(c.content for c in t.children or []) for t in tokens if t.type == "inline"]
    assert SHOWN in cells and not [t for t in tokens if t.type == "html_block"]
    lines = list(csv.DictReader(io.StringIO(csv_table(compare([read_run(tmp_path)])))))
    assert {line["dataset"] for line in lines} == {"'=data"}
    numbers = {line["difference_low"] or line["mean"] for line in lines}
    assert not [value for value in numbers if value.startswith("'")]
