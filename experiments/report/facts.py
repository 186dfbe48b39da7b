"""Where the numbers come from: method, environment, data, and the commands that make them again."""

import re
from typing import Any

from experiments.report.comparison import Comparison
from experiments.report.rows import Run

__all__ = ["Facts", "environment_facts", "method_facts", "reproduce", "unfinished"]

Facts = list[tuple[str, str]]
_EPOCH = re.compile(r"\(epoch (\d+)\)")


def method_facts(comparison: Comparison) -> Facts:
    """How models of one comparison were trained and measured."""
    row = comparison.rows[0]
    budget = row["budget"]
    facts = [
        ("Task", {"detect": "object detection", "segment": "crack segmentation"}[comparison.task]),
        ("Data", f"{row['dataset']}, content hash {row['dataset_hash']}"),
        ("Budget", f"{budget['epochs']} epochs, {budget['imgsz']} px, batch {budget['batch']}, on {budget['device']}"),
        ("Seeds", ", ".join(str(seed) for seed in sorted({row["seed"] for row in comparison.rows}))),
    ]
    if row["options"]:
        facts.append(("Training options", ", ".join(f"{key} = {value}" for key, value in row["options"].items())))
    for name in ("weights", "split", "predictions", "metric"):
        texts = [row["method"].get(name, "") for row in comparison.rows]
        facts.append((name.capitalize(), " | ".join(_one_each(texts)) or "-"))
    return facts


def _one_each(texts: list[str]) -> list[str]:
    """Every distinct text; those that differ in the chosen epoch alone are one, with all of their epochs."""
    found: dict[str, set[int]] = {}
    for text in filter(None, texts):
        epochs = found.setdefault(_EPOCH.sub("{epochs}", text), set())
        epochs.update(int(epoch) for epoch in _EPOCH.findall(text))
    return [
        text.replace("{epochs}", f"(epoch {', '.join(str(epoch) for epoch in sorted(epochs))})")
        for text, epochs in found.items()
    ]


def environment_facts(rows: list[dict[str, Any]]) -> Facts:
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
