"""docs/which-block.md: for each block that a committed comparison trained, what it showed and at which cost.

No sentence of it is typed: a block without a row gets no advice.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import yoloplug
from experiments.report.comparison import Comparison
from experiments.report.tables.table import decimals
from experiments.statistics import BETTER, EQUIVALENT, WORSE

_HEAD = """\
# Which block should I try?

{verdict}

Written by `python -m experiments results` from the committed rows, [all of them here](results.md). Each line is one
comparison with the stock model of the same data, start and budget, by {metrics}. At worst, at best: the ends of the
difference's 95 % interval, over images and seeds. Detectable: what this design would have found in 80 % of cases; a
smaller difference may be there all the same. Costs are in those of the stock model.

"""
_COLUMNS = (
    "| Block | Data, start, epochs | Difference | At worst | At best | Verdict | Detectable | Parameters | FLOPs |"
)
_RULE = "|---|---|--:|--:|--:|---|--:|--:|--:|"


class _Tried(NamedTuple):
    block: str
    metric: str
    difference: float
    verdict: str
    line: str


def which_block(lines: Iterable[tuple[Comparison, str, Mapping[str, str]]]) -> str:
    """The page. lines: a comparison, one of its models, and that model's line of table.csv."""
    tried = [
        _tried(comparison, label, *block, line)
        for comparison, label, line in lines
        if (block := _block(comparison, label)) and label not in comparison.controls and line["difference"]
    ]
    tried.sort(key=lambda one: -one.difference)
    metrics = " and ".join(dict.fromkeys(one.metric for one in tried))
    blocks = dict.fromkeys(one.block for one in tried)
    rows = [one.line for block in blocks for one in tried if one.block == block]
    rest = ", ".join(sorted(set(yoloplug.BLOCKS) - set(blocks), key=str.lower))
    return (
        _HEAD.format(verdict=_verdict(tried), metrics=metrics)
        + "\n".join([_COLUMNS, _RULE, *rows])
        + f"\n\nNo committed row, and so no advice: {rest}.\n"
    )


def _verdict(tried: list[_Tried]) -> str:
    counts = Counter(one.verdict for one in tried)
    said = [f"{counts[word]} {word}" for word in (BETTER, EQUIVALENT, WORSE) if counts[word]]
    open_ = len(tried) - sum(counts[word] for word in (BETTER, EQUIVALENT, WORSE))
    advice = (
        f"start with {', '.join(dict.fromkeys(one.block for one in tried if one.verdict == BETTER))}"
        if counts[BETTER]
        else "none was shown to help: whoever tries one should train the stock model beside it, over seeds"
    )
    blocks = len({one.block for one in tried})
    return (
        f"Of {blocks} blocks in {len(tried)} comparisons with stock, {advice}. Found: "
        f"{', '.join([*said, f'{open_} undecided'])}."
    )


def _block(comparison: Comparison, label: str) -> tuple[str, str] | None:
    """The catalogue's block in this row's model, and what the YAML's name says of its place ("neck")."""
    words = Path(str(comparison.of(label)[0]["model"]["model"])).stem.split("-")
    hosts = {host: block.name for block in yoloplug.BLOCKS.values() for host in block.hosts}
    return next(((hosts[word], ", ".join(words[k + 1 :])) for k, word in enumerate(words) if word in hosts), None)


def _tried(comparison: Comparison, label: str, block: str, place: str, line: Mapping[str, str]) -> _Tried:
    row = comparison.of(label)[0]
    apart, low, high, unseen = (
        float(line[key]) if line[key] else None
        for key in ("difference", "difference_low", "difference_high", "detectable")
    )
    digits = decimals(low, high)
    start = "preserved" if row["model"].get("preserve") else "trained weights" if row["model"].get("init") else "random"
    about = f"{row['dataset']}, {start}, {row['budget']['epochs']}"
    numbers = ["-" if x is None else f"{x:+.{digits}f}" for x in (apart, low, high)]
    costs = [_ratio(comparison, label, name) for name in ("params", "flops")]
    named = f"{block} ({place})" if place else block
    cells = [named, about, *numbers, line["verdict"], "-" if unseen is None else f"{unseen:.{digits}f}", *costs]
    return _Tried(block, comparison.task.headline_name, apart or 0.0, line["verdict"], f"| {' | '.join(cells)} |")


def _ratio(comparison: Comparison, label: str, name: str) -> str:
    mine, base = ([row["cost"][name] for row in comparison.of(x) if row["cost"]] for x in (label, comparison.baseline))
    return f"{median(mine) / median(base):.2f}" if mine and base else "-"
