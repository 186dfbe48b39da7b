"""Scores as a printed table, JSON, CSV and pictures."""

from pathlib import Path
from typing import Any

from segplug.data.dataset import CrackDataset
from segplug.errors import SegplugError
from segplug.evaluation.sizes import size_lines
from segplug.evaluation.worst import WorstImages
from segplug.metrics import DEFINITIONS, Contributions
from yoloplug import files

FILES = (".json", ".npz")  # what `out` may end in; anything else is a folder


def check_out(out: Path | None) -> None:
    """Refuse, before the scoring, a name that is neither a .json or .npz file nor a folder."""
    if out is not None and out.suffix not in FILES and (out.suffix in (".csv", ".txt", ".html") or out.is_file()):
        raise SegplugError(f"{out}: neither a .json or .npz file nor a folder; name one of them")


def score_table(result: dict[str, Any]) -> str:
    """A line a metric: name, value, value without the excluded images if some were, definition; the cracks' sizes."""
    columns = [result["metrics"]] + ([result["without"]["metrics"]] if "without" in result else [])
    lines = [
        f"{name:21} {' '.join(f'{_shown(column[name]):>8}' for column in columns)}  {DEFINITIONS[name]}"
        for name in result["metrics"]
    ]
    return "\n".join(lines + size_lines(result["sizes"]))


def write_scores(
    result: dict[str, Any], every: Contributions, worst: WorstImages, dataset: CrackDataset, out: Path
) -> None:
    """`out` ending in .npz: `every`; in .json: that file and a .npz. Else a folder of both, CSV and worst/*.png."""
    if out.suffix == ".npz":
        every.save(out)
        return
    if out.suffix == ".json":
        files.write_json(out, result)
        every.save(out.with_suffix(".npz"))
        return
    files.write_json(out / "scores.json", result)
    for name, rows in (("metrics.csv", _metric_rows(result)), ("per_image.csv", result["per_image"])):
        files.write_csv(out / name, list(rows[0]), rows)
    every.save(out / "per_image.npz")
    worst.write(out / "worst", dataset)


def _metric_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    without = result.get("without", {}).get("metrics")
    return [
        {"name": name, "value": value}
        | ({"value_without_excluded": without[name]} if without else {})
        | {"definition": DEFINITIONS[name]}
        for name, value in result["metrics"].items()
    ]


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"
