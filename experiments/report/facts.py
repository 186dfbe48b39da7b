"""Where the numbers come from: method, environment, data, and the commands that make them again."""

from collections.abc import Sequence
from typing import Any

from experiments.cells.row import Method, Row, weights_text
from experiments.report.comparison import Comparison
from experiments.report.rows import Run

Facts = list[tuple[str, str]]


def method_facts(comparison: Comparison) -> Facts:
    """How models of one comparison were trained and measured."""
    row = comparison.rows[0]
    budget = row["budget"]
    facts = [
        ("Task", comparison.task.title),
        ("Data", f"{row['dataset']}, content hash {row['dataset_hash']}"),
        ("Budget", f"{budget['epochs']} epochs, {budget['imgsz']} px, batch {budget['batch']}, on {budget['device']}"),
        ("Seeds", ", ".join(str(seed) for seed in sorted({row["seed"] for row in comparison.rows}))),
    ]
    if budget.get("precision"):
        facts.append(("Precision", f"{budget['precision']} in training"))
    if row["options"]:
        facts.append(("Training options", ", ".join(f"{key} = {value}" for key, value in row["options"].items())))
    methods: list[dict[str, Any]] = [dict(row["method"]) for row in comparison.rows]
    facts.append(("Weights", " | ".join(_weights([row["method"] for row in comparison.rows if row["method"]])) or "-"))
    for name in ("split", "predictions", "metric"):
        facts.append((name.capitalize(), " | ".join(dict.fromkeys(m[name] for m in methods if m.get(name))) or "-"))
    return facts


def _weights(methods: Sequence[Method]) -> list[str]:
    """Every distinct text; those that differ in the chosen epoch alone are one, with all of their epochs."""
    found: dict[str, tuple[Method, set[int]]] = {}
    for method in methods:
        _, epochs = found.setdefault(weights_text(method, "*"), (method, set()))
        epochs |= {epoch} if (epoch := method.get("epoch")) else set()
    return [weights_text(method, ", ".join(map(str, sorted(epochs)))) for method, epochs in found.values()]


def environment_facts(rows: list[Row]) -> Facts:
    """Every distinct value over the rows; more than one commit is worth a look."""
    seen: dict[str, dict[str, None]] = {}
    for row in rows:
        environment = row["environment"]
        values = {
            "Commit": _commit(environment),
            "Python": environment["python"],
            "Packages": ", ".join(f"{k} {v}" for k, v in environment["versions"].items() if v),
            "Machine": f"{environment['processor']}, {environment['cores']} cores, {environment['platform']}",
            "Device": f"{environment['device']}, {environment['threads']} threads",
        }
        again = row.get("cost_environment")
        if again:
            values["Cost measured again"] = f"{again['measured'][:10]}, commit {_commit(again)}"
        for name, value in values.items():
            seen.setdefault(name, {})[value] = None
    return [(name, " | ".join(values)) for name, values in seen.items()]


def _commit(environment: dict[str, Any]) -> str:
    changed = {True: ", with uncommitted changes", False: "", None: ", state unknown"}[environment["dirty"]]
    return f"{environment['commit']}{changed}"


def reproduce(run: Run) -> str:
    """Commands for a shell, from a fresh checkout."""
    commits = sorted({row["environment"]["commit"] for row in run.rows})
    name = run.rows[0]["name"]
    return "\n".join(
        [
            f"git checkout {commits[0]}" + (f"  # other rows: {', '.join(commits[1:])}" if commits[1:] else ""),
            "pip install -e .",
            f"# the spec below as {name}.yaml; its datasets' folders in DATA",
            f"python -m experiments run {name}.yaml --data-root DATA --out {name}",
            f"python -m experiments report {name}",
        ]
    )


def unfinished(run: Run) -> list[str]:
    """Failed and missing cells, one line each."""
    failed = [f"{cell} failed: {error}" for cell, error in run.failed.items()]
    return failed + [f"{cell} has no result yet" for cell in run.missing]
