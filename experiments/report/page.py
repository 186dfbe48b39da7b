"""The HTML report: one file, nothing loaded from elsewhere."""

import base64
from html import escape
from pathlib import Path

from experiments.report.errors import error_table
from experiments.report.facts import Facts, environment_facts, method_facts, reproduce, unfinished
from experiments.report.pictures import KEY, examples, how_chosen
from experiments.report.plots import PLOTS, Drawn
from experiments.report.rows import Comparison, Run
from experiments.report.tables import Table, cost_table, per_class
from experiments.report.verdict_tables import quality_tables, sentences

__all__ = ["page"]


def page(runs: list[Run], comparisons: list[Comparison], drawn: list[Drawn]) -> str:
    """The whole document; `drawn` holds the plots of each comparison."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    names = " and ".join(dict.fromkeys(escape(comparison.title) for comparison in comparisons))
    body = "".join(map(_comparison, comparisons, drawn))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{names}</title><style>{style}</style></head><body><main>"
        f"<h1>{names}</h1>{_summary(runs, comparisons)}{body}{_origin(runs)}</main></body></html>\n"
    )


def _summary(runs: list[Run], comparisons: list[Comparison]) -> str:
    parts = []
    for comparison in comparisons:
        lines = "".join(f"<li>{escape(line)}</li>" for line in sentences(comparison))
        title = f'<p class="of">{escape(comparison.title)}</p>' if len(comparisons) > 1 else ""
        parts.append(f'{title}<ul class="summary">{lines}</ul>')
    gaps = "".join(f"<li>{escape(line)}</li>" for run in runs for line in unfinished(run))
    return "".join(parts) + (f'<ul class="gaps">{gaps}</ul>' if gaps else "")


def _comparison(comparison: Comparison, drawn: Drawn) -> str:
    parts = [f"<h2>{escape(comparison.title)}</h2>", *(_table(t, "quality") for t in quality_tables(comparison))]
    classes = per_class(comparison)
    parts += [_table(classes, "quality")] if classes else []
    parts += [_plots(drawn, ("metrics", "classes")), _table(cost_table(comparison), "cost")]
    parts.append(_plots(drawn, ("latency", "parameters")))
    errors = error_table(comparison)
    if errors:
        parts += [_table(errors, "errors"), _plots(drawn, ("errors",))]
    parts.append(_examples(comparison))
    if "loss" in drawn:
        parts += ["<h3>Training</h3>", _plots(drawn, ("monitor", "loss"))]
    parts.append(f"<h3>How it was measured</h3>{_facts(method_facts(comparison))}")
    return f"<section>{''.join(parts)}</section>"


def _table(table: Table, kind: str) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    lines = []
    for first, *cells in table.rows:
        line = "".join(f"<td>{escape(cell.value)}{_small(cell.small)}</td>" for cell in cells)
        name = escape(first.value).replace("_", "_<wbr>")
        lines.append(f'<tr><th scope="row">{name}{_small(first.small)}</th>{line}</tr>')
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    return (
        f'<h3>{escape(table.caption)}</h3><div class="wide" tabindex="0"><table class="{kind}">'
        f'<thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div><div class="notes">{notes}</div>'
    )


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""


def _plots(drawn: Drawn, names: tuple[str, ...]) -> str:
    figures = []
    for name in (name for name in names if name in drawn):
        light, dark = (_data(picture, "svg+xml") for picture in (drawn[name].light, drawn[name].dark))
        caption = escape(PLOTS[name][1])
        figures.append(
            f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
            f'<img src="{light}" alt="{caption}"></picture><figcaption>{caption}</figcaption></figure>'
        )
    return f'<div class="plots">{"".join(figures)}</div>' if figures else ""


def _examples(comparison: Comparison) -> str:
    found = examples(comparison)
    if not found:
        return ""
    key = "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for colour, name in KEY)
    rows = []
    for example in found:
        panels = "".join(
            f'<figure><img src="{_data(picture, "jpeg")}" alt="{escape(caption)}: {escape(example.name)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
            for caption, picture in example.panels
        )
        reasons = "; ".join(example.reasons)
        rows.append(f'<h4>{escape(example.name)}: {escape(reasons)}</h4><div class="panels">{panels}</div>')
    return (
        f'<h3>Best and worst images</h3><p class="key">{key}</p>'
        f'<div class="notes"><p>{escape(how_chosen(comparison))}</p></div>{"".join(rows)}'
    )


def _origin(runs: list[Run]) -> str:
    parts = ["<section><h2>Environment and how to reproduce</h2>"]
    for run in runs:
        title = run.rows[0]["name"]
        parts.append(f"<h3>{escape(title)}</h3>{_facts(environment_facts(run.rows))}")
        parts.append(f"<pre>{escape(reproduce(run))}</pre>")
        if run.spec_text:
            parts.append(f"<details open><summary>Spec</summary><pre>{escape(run.spec_text)}</pre></details>")
    return "".join(parts) + "</section>"


def _facts(facts: Facts) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts) + "</dl>"


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
