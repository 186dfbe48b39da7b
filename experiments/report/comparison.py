"""Rows that may be compared, and what they say of each other: values, differences, verdicts."""

import json
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from experiments.cells.row import Row
from experiments.errors import SpecError
from experiments.evidence import ImageSet, evidence_of
from experiments.metrics.coco_ap import CLASS_AP
from experiments.report.resampled import Resampled
from experiments.report.rows import Run
from experiments.statistics import CellKey, Pair, Sampled, Statistics, Verdict, verdicts
from experiments.tasks import TASKS, Task

# What must be equal for two rows to stand in one table.
_SAME = tuple("name task dataset dataset_hash split budget protocol options baseline groups margin".split())


@dataclass(frozen=True)
class Comparison:
    """Rows of one dataset under one budget and protocol. `subset`: name of the part of its images that is scored."""

    rows: list[Row]
    folders: dict[str, Path] = field(repr=False)  # cell -> its folder
    subset: str | None = None

    @property
    def task(self) -> Task:
        return TASKS[self.rows[0]["task"]]

    @property
    def headline(self) -> str:
        """The metric that verdicts are about."""
        return self.task.headline

    @property
    def title(self) -> str:
        part = f", {self.subset}" if self.subset else ""
        return f"{self.rows[0]['name']} on {self.rows[0]['dataset']}{part}"

    @property
    def split(self) -> str:
        """What was scored, in words."""
        named = next((str(row["method"]["split"]) for row in self.rows if "split" in row["method"]), "no split named")
        photos = "" if self.photos is None else f" of {self.photos} photos"
        if self.subset is None:
            return f"{named}{photos}"
        return f"{named}; {self.subset}: {self._part['images']} of them{photos}"

    @property
    def margin(self) -> float | None:
        """Difference up to which the spec calls two models equivalent."""
        return self.rows[0].get("margin")

    @cached_property
    def photos(self) -> int | None:
        """How many photos the scored images are crops of; None where each is one, or no cell's file is there."""
        rows = self.rows if self.rows[0].get("groups") else []
        opened = (self._images(row) for row in rows if not row["diverged"])
        images = next((images for images in opened if images is not None), None)
        return None if images is None else len(set(self._resampled.photos(images)))

    @property
    def drawn(self) -> str:
        """What the bootstrap draws."""
        return "images" if self.photos is None else f"{self.photos} photos"

    @cached_property
    def _resampled(self) -> Resampled:
        return Resampled(self._part["excluded"] if self.subset else (), self.rows[0].get("groups"))

    @cached_property
    def has_images(self) -> bool:
        """Whether every cell's per-image files are there."""
        return all(self._images(row) is not None for row in self.rows if not row["diverged"])

    def _images(self, row: Row) -> ImageSet | None:
        return evidence_of(self.task).open_images(row, self.folders[row["cell"]])

    @property
    def _part(self) -> dict[str, Any]:
        """What the rows say of the subset's images."""
        return next(dict(row["subsets"][self.subset]) for row in self.rows if self.subset in row.get("subsets", {}))

    @property
    def baseline(self) -> str:
        return str(self.rows[0]["baseline"])

    @property
    def labels(self) -> list[str]:
        """Models in the order of their rows, the baseline first."""
        found = dict.fromkeys(row["label"] for row in self.rows)
        return sorted(found, key=lambda label: label != self.baseline)

    def of(self, label: str) -> list[Row]:
        """This model's rows by seed."""
        return sorted((row for row in self.rows if row["label"] == label), key=lambda row: row["seed"])

    def values(self, label: str, metric: str) -> dict[int, float]:
        """Seed -> value of a metric or of `AP of <class>`; seeds without one (diverged, undefined) are left out."""
        numbers = {row["seed"]: _numbers(row) for row in self.of(label)}
        return {seed: found[metric] for seed, found in numbers.items() if metric in found}

    @cached_property
    def subsets(self) -> list["Comparison"]:
        """The same rows scored on the parts of the images that their spec names; diverged ones have no scores."""
        names = dict.fromkeys(name for row in self.rows for name in row.get("subsets", {}))
        parts = {
            name: [row for row in self.rows if name in row.get("subsets", {}) or row["diverged"]] for name in names
        }
        return [replace(self, subset=name, rows=[_part(row, name) for row in rows]) for name, rows in parts.items()]

    @cached_property
    def statistics(self) -> Statistics:
        """Intervals of this comparison's means and differences."""
        rows: dict[CellKey, Row] = {(row["label"], row["seed"]): row for row in self.rows}

        @cache
        def sampled(cell: CellKey) -> Sampled | None:
            return self._resampled.of(rows[cell], self._images(rows[cell]))

        return Statistics({cell: _numbers(row) for cell, row in rows.items()}, sampled)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Of every model but the baseline, by its headline metric."""
        found = self.judge([(label, self.baseline) for label in self.labels if label != self.baseline])
        return {label: verdict for (label, _), verdict in found.items()}

    @cached_property
    def controlled(self) -> dict[Pair, Verdict]:
        """(model, a control of it) -> of the first against the second, as `verdicts`.

        Controls: stock scaled to its budget, and the checkpoint's own model with as many fresh parameters.
        """
        models = {row["label"]: row["model"] for row in self.rows if row["label"] not in self.controls}
        return self.judge(
            [
                (label, control)
                for control, of in self.controls.items()
                for label, model in models.items()
                if (model["model"], model.get("init")) == of
            ]
        )

    @cached_property
    def controls(self) -> dict[str, tuple[str, str | None]]:
        """Models that are a control -> YAML and checkpoint of the models that they are one of."""
        models = {row["label"]: row["model"] for row in self.rows}
        of = {label: model.get("matched_to") or model.get("fresh_as") for label, model in models.items()}
        return {label: (yaml, models[label].get("init")) for label, yaml in of.items() if yaml}

    @cached_property
    def every_pair(self) -> dict[Pair, Verdict]:
        """Of every two models, as `verdicts`."""
        return self.judge(list(combinations(self.labels, 2)))

    def judge(self, pairs: list[Pair]) -> dict[Pair, Verdict]:
        """Of each pair's first model against its second, by the headline metric; corrected for these pairs."""
        diverged = {str(row["label"]) for row in self.rows if row["diverged"]}
        return verdicts(self.statistics, pairs, self.headline, diverged, self.margin)

    def size_ratio(self, label: str) -> float | None:
        """Parameters in those of the baseline; None for the baseline, and where they differ by less than 2 %."""
        sizes = [next((row["cost"]["params"] for row in self.of(x) if row["cost"]), 0) for x in (label, self.baseline)]
        ratio = sizes[0] / sizes[1] if all(sizes) else 1.0
        return ratio if abs(ratio - 1) >= 0.02 else None

    def differences(self, label: str, metric: str, against: str | None = None) -> list[float]:
        """Model less `against` (default: the baseline) on every seed that both have."""
        mine, base = self.values(label, metric), self.values(against or self.baseline, metric)
        return [mine[seed] - base[seed] for seed in sorted(mine.keys() & base.keys())]


def compare(runs: list[Run]) -> list[Comparison]:
    """Rows that share dataset content, budget, protocol and baseline, in the order of the runs."""
    groups: dict[str, tuple[list[Row], dict[str, Path]]] = {}
    for run in runs:
        for row in run.rows:
            rows, folders = groups.setdefault(json.dumps([row.get(key) for key in _SAME], sort_keys=True), ([], {}))
            if row["cell"] in folders:
                raise SpecError(
                    f"{run.folder} and {folders[row['cell']]} both hold cell {row['cell']}; give one of them"
                )
            rows.append(row)
            folders[row["cell"]] = run.folder / "cells" / row["cell"]
    return [Comparison(rows, folders) for rows, folders in groups.values()]


def _numbers(row: Row) -> dict[str, float]:
    """Metrics, and AP by class under the name `AP of <class>`, where they are defined."""
    classes = {CLASS_AP + name: value for name, value in row.get("per_class", {}).items()}
    return {name: float(value) for name, value in (classes | row["metrics"]).items() if value is not None}


def _part(row: Row, subset: str) -> Row:
    part = row.get("subsets", {}).get(subset, {"metrics": {}})
    return row | {"metrics": part["metrics"], "per_class": part.get("per_class", {})}
