"""A document as text of a format, from the template of that format."""

import re
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from experiments.report.forms import escape
from experiments.report.forms.document import Document
from segplug.page.render import Entry, data_uri, render

_HERE = Path(__file__).parent


def html(document: Document) -> str:
    """One file, nothing loaded from elsewhere."""
    return render(_HERE / "report.html", title=document.title, document=document, data_uri=data_uri)


def markdown(document: Document) -> str:
    """Tables, plots by relative path, method, environment, spec."""
    return _text("report.md", escape.markdown, document, {})


def latex(document: Document) -> str:
    """One `table` environment each; needs booktabs and graphicx. Small print goes into lines of its own."""
    return _text("table.tex", escape.latex, document, {"variable_start_string": "<<", "variable_end_string": ">>",
                 "block_start_string": "<%", "block_end_string": "%>", "comment_start_string": "<#"})  # fmt: skip


def _text(template: str, escaped: Callable[[str], str], document: Document, marks: dict[str, str]) -> str:
    """Every value is escaped but what passes through the filter `raw`."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else escaped(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **marks,  # type: ignore[arg-type]
    )
    environment.filters |= {"raw": Markup, "fence": _fence, "small_lines": _small_lines}
    return environment.get_template(template).render(document=document)


def _fence(text: str) -> Markup:
    """Backticks, more than the text has in a row."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return Markup("`" * max(3, longest + 1))


def _small_lines(row: list[Entry]) -> list[list[str]]:
    """As many lines of small print as the row's highest entry has; '' where an entry has fewer."""
    parts = [entry.small.split("\n") if entry.small else [] for entry in row]
    return [[part[k] if k < len(part) else "" for part in parts] for k in range(max(map(len, parts)))]
