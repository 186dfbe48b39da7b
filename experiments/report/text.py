"""The same tables as Markdown, LaTeX (booktabs) and long CSV."""

import csv
import io
from collections.abc import Iterator
from statistics import mean, stdev
from typing import Any

from experiments.metrics.coco_ap import CLASS_AP
from experiments.report.errors import error_table
from experiments.report.facts import environment_facts, method_facts, reproduce, unfinished
from experiments.report.plots import Drawn
from experiments.report.rows import HEADLINE, Comparison, Run
from experiments.report.tables import MEMORY, METRICS, Cell, Table, cost_table, per_class, unit_of
from experiments.report.verdict_tables import quality_tables, sentences
from experiments.statistics import Interval

__all__ = ["csv_table", "latex", "markdown"]

_CSV_COLUMNS = """name task dataset dataset_hash subset model baseline metric unit seeds mean standard_deviation
low high difference difference_low difference_high p p_holm verdict""".split()
_COSTS = {"params": "1", "flops": "1", "latency_ms": "ms"}
_LATEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "±": r"$\pm$", "²": r"$^2$", "<": "$<$", ">": "$>$",
    "|": r"\textbar{}", '"': "''",
}  # fmt: skip


def markdown(runs: list[Run], comparisons: list[Comparison], drawn: list[Drawn]) -> str:
    """Tables, plots by relative path, method, environment, spec."""
    parts = []
    for index, comparison in enumerate(comparisons):
        parts.append(f"# {comparison.title}\n")
        parts += [f"- {line}" for line in sentences(comparison)]
        for table in _tables(comparison):
            parts.append(f"\n**{table.caption}**\n\n{_markdown_table(table)}\n")
            parts += [f"{note}\n" for note in table.notes]
        parts += [f"![{name}](plots/{index + 1}-{name}.png)" for name in drawn[index]]
        parts.append("\n" + "\n".join(f"- {name}: {value}" for name, value in method_facts(comparison)) + "\n")
    for run in runs:
        parts.append(f"# Environment: {run.rows[0]['name']}\n")
        parts += [f"- **not finished:** {line}" for line in unfinished(run)]
        parts += [f"- {name}: {value}" for name, value in environment_facts(run.rows)]
        parts.append(f"\n```sh\n{reproduce(run)}\n```\n")
        if run.spec_text:
            parts.append(f"```yaml\n{run.spec_text.rstrip()}\n```\n")
    return "\n".join(parts)


def latex(comparisons: list[Comparison]) -> str:
    """One `table` environment each; needs booktabs and graphicx. Small print goes into lines of its own."""
    parts = ["% needs \\usepackage{booktabs,graphicx}"]
    for comparison in comparisons:
        for table in _tables(comparison):
            head = " & ".join(map(_tex, table.columns))
            lines = "\n\\addlinespace\n".join("\n".join(_latex_lines(row)) for row in table.rows)
            parts.append(
                "\\begin{table}\n\\centering\\footnotesize\n"
                f"\\caption{{{_tex(comparison.title)}. {_tex(table.caption)}.}}\n\\smallskip\n"
                "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
                f"\\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}\n\\toprule\n{head} \\\\\n\\midrule\n{lines}\n"
                "\\bottomrule\n\\end{tabular}}\n\n\\smallskip\n\\begin{minipage}{\\linewidth}\\scriptsize\n"
                f"{_tex(' '.join(table.notes))}\n\\end{{minipage}}\n\\end{{table}}"
            )
    return "\n\n".join(parts) + "\n"


def csv_table(comparisons: list[Comparison]) -> str:
    """One line for each model and number, full precision; p_holm and verdict in the line of the headline metric."""
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, _CSV_COLUMNS, lineterminator="\n")
    table.writeheader()
    for comparison in comparisons:
        for part in (comparison, *comparison.subsets):
            table.writerows(_quality_lines(part))
        for label in comparison.labels:
            table.writerows(_cost_lines(comparison, label))
    return buffer.getvalue()


def _tables(comparison: Comparison) -> list[Table]:
    tables = [*quality_tables(comparison), per_class(comparison), cost_table(comparison), error_table(comparison)]
    return [table for table in tables if table]


def _quality_lines(comparison: Comparison) -> Iterator[dict[str, Any]]:
    recorded = dict.fromkeys(METRICS[comparison.task])
    for row in comparison.rows:
        recorded |= dict.fromkeys([*row["metrics"], *(CLASS_AP + name for name in row.get("per_class", {}))])
    for label in comparison.labels:
        for metric in recorded:
            values, apart = comparison.values(label, metric), comparison.differences(label, metric)
            line = _shared(comparison, label, metric, unit_of(metric))
            line |= {"seeds": len(values)}
            if values:
                own = comparison.statistics.interval(label, metric)
                line |= {"mean": mean(values.values())} | _ends("", own)
                line |= {"standard_deviation": stdev(values.values())} if len(values) > 1 else {}
            if apart and label != comparison.baseline:
                found = comparison.statistics.difference(label, comparison.baseline, metric)
                line |= {"difference": mean(apart)} | _ends("difference_", found)
                line |= {"p": found.p} if isinstance(found, Interval) else {}
            if metric == HEADLINE[comparison.task] and label in comparison.verdicts:
                verdict = comparison.verdicts[label]
                line |= {"p_holm": verdict.p_holm, "verdict": str(verdict)}
            yield line
    yield from _equal_size_lines(comparison)


def _equal_size_lines(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Models against the stock models scaled to their size, which stand in `baseline`; by the headline metric alone."""
    metric = HEADLINE[comparison.task]
    for (label, stock), verdict in comparison.at_equal_size.items():
        values, apart = comparison.values(label, metric), comparison.differences(label, metric, stock)
        line = _shared(comparison, label, metric, unit_of(metric)) | {"baseline": stock, "seeds": len(values)}
        line |= {"mean": mean(values.values())} if values else {}
        line |= {"difference": mean(apart)} if apart else {}
        if verdict.difference:
            line |= {"p": verdict.difference.p} | _ends("difference_", verdict.difference)
        yield line | {"p_holm": verdict.p_holm, "verdict": str(verdict)}


def _cost_lines(comparison: Comparison, label: str) -> Iterator[dict[str, Any]]:
    for metric, unit in _COSTS.items():
        costs = [row["cost"][metric] for row in comparison.of(label) if row["cost"]]
        yield _shared(comparison, label, metric, unit) | {"seeds": len(costs), "mean": mean(costs) if costs else ""}
    seconds = [row["train"]["seconds"] for row in comparison.of(label)]
    yield _shared(comparison, label, "training", "s") | {"seeds": len(seconds), "mean": mean(seconds)}
    peaks = [row["train"][MEMORY] for row in comparison.of(label) if row["train"].get(MEMORY)]
    if peaks:
        yield _shared(comparison, label, MEMORY, "byte") | {"seeds": len(peaks), "mean": mean(peaks)}


def _shared(comparison: Comparison, label: str, metric: str, unit: str) -> dict[str, Any]:
    row = comparison.rows[0]
    found = {key: row[key] for key in ("name", "task", "dataset", "dataset_hash", "baseline")}
    return {**found, "subset": comparison.subset or "", "model": label, "metric": metric, "unit": unit}


def _ends(prefix: str, found: Interval | str) -> dict[str, Any]:
    return {f"{prefix}low": found.low, f"{prefix}high": found.high} if isinstance(found, Interval) else {}


def _markdown_table(table: Table) -> str:
    lines = [table.columns, ["---", *["--:"] * (len(table.columns) - 1)]]
    lines += [[_flat(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)


def _flat(cell: Cell) -> str:
    small = cell.small.replace("\n", " ")
    return f"{cell.value} ({small})" if small else cell.value


def _latex_lines(row: list[Cell]) -> list[str]:
    """The values, then as many lines of small print as the row's highest cell has."""
    small = [cell.small.split("\n") if cell.small else [] for cell in row]
    lines = [" & ".join(_tex(cell.value) for cell in row)]
    for k in range(max(map(len, small))):
        lines.append(" & ".join(f"\\scriptsize {_tex(part[k])}" if k < len(part) else "" for part in small))
    return [line + r" \\" for line in lines]


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
