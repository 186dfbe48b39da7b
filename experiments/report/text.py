"""The same tables as Markdown, LaTeX (booktabs) and long CSV."""

import csv
import io
from statistics import mean, stdev

from experiments.report.facts import environment_facts, method_facts, reproduce, unfinished
from experiments.report.page import Drawn
from experiments.report.rows import Comparison, Run
from experiments.report.tables import METRICS, Cell, Table, cost_table, evidence, quality_table, sentence

__all__ = ["csv_table", "latex", "markdown"]

_CSV_COLUMNS = """name task dataset dataset_hash model baseline metric unit seeds mean standard_deviation difference
evidence""".split()
_LATEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "±": r"$\pm$", "²": r"$^2$",
}  # fmt: skip


def markdown(runs: list[Run], comparisons: list[Comparison], drawn: list[Drawn]) -> str:
    """Tables, plots by relative path, method, environment, spec."""
    parts = []
    for index, comparison in enumerate(comparisons):
        parts.append(f"# {comparison.title}\n")
        others = [label for label in comparison.labels if label != comparison.baseline]
        parts += [f"- {sentence(comparison, label)}" for label in others]
        for table in (quality_table(comparison), cost_table(comparison)):
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
    """One `table` environment each; needs \\usepackage{booktabs}. Small print goes in parentheses."""
    parts = ["% needs \\usepackage{booktabs}"]
    for comparison in comparisons:
        for table in (quality_table(comparison), cost_table(comparison)):
            head = " & ".join(map(_tex, table.columns))
            lines = "\n".join(" & ".join(_tex(_flat(cell)) for cell in row) + r" \\" for row in table.rows)
            parts.append(
                "\\begin{table}\n\\centering\\footnotesize\n"
                f"\\caption{{{_tex(comparison.title)}. {_tex(table.caption)}. {_tex(' '.join(table.notes))}}}\n"
                f"\\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}\n\\toprule\n{head} \\\\\n\\midrule\n{lines}\n"
                "\\bottomrule\n\\end{tabular}\n\\end{table}"
            )
    return "\n\n".join(parts) + "\n"


def csv_table(comparisons: list[Comparison]) -> str:
    """One line for each model and number, full precision."""
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, _CSV_COLUMNS, lineterminator="\n")
    table.writeheader()
    for comparison in comparisons:
        row = comparison.rows[0]
        shared = {key: row[key] for key in ("name", "task", "dataset", "dataset_hash", "baseline")}
        for label in comparison.labels:
            for metric in METRICS[comparison.task]:
                values, apart = comparison.values(label, metric), comparison.differences(label, metric)
                own = {"model": label, "metric": metric, "unit": "fraction", "seeds": len(values)}
                table.writerow(
                    {
                        **shared,
                        **own,
                        "mean": mean(values.values()) if values else "",
                        "standard_deviation": stdev(values.values()) if len(values) > 1 else "",
                        "difference": mean(apart) if apart and label != comparison.baseline else "",
                        "evidence": evidence(comparison, label),
                    }
                )
            for metric, unit in (("params", "1"), ("flops", "1"), ("latency_ms", "ms")):
                costs = [row["cost"][metric] for row in comparison.of(label) if row["cost"]]
                own = {"model": label, "metric": metric, "unit": unit, "seeds": len(costs)}
                table.writerow({**shared, **own, "mean": mean(costs) if costs else ""})
            seconds = [row["train"]["seconds"] for row in comparison.of(label)]
            own = {"model": label, "metric": "training", "unit": "s", "seeds": len(seconds)}
            table.writerow({**shared, **own, "mean": mean(seconds)})
    return buffer.getvalue()


def _markdown_table(table: Table) -> str:
    lines = [table.columns, ["---", *["--:"] * (len(table.columns) - 1)]]
    lines += [[_flat(cell) for cell in row] for row in table.rows]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)


def _flat(cell: Cell) -> str:
    return f"{cell.value} ({cell.small})" if cell.small else cell.value


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
