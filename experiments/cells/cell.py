"""What is run: one model on one dataset with one seed, its data found and its folder named."""

from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from experiments.spec.spec import Dataset, Model, Spec, file_name
from experiments.spec.strict import SpecError, nearest

__all__ = ["Cell", "cell_keys", "cells", "locate"]


@dataclass(frozen=True)
class Cell:
    """One training and its evaluation: one model, one dataset, one seed.

    `excluded`: subset of the spec -> names of the evaluation images that it leaves out.
    """

    spec: Spec
    model: Model
    dataset: str
    data: Path
    seed: int
    folder: Path
    excluded: dict[str, list[str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def source(self) -> Dataset:
        """What the spec says about the cell's data; `data` is where it lies."""
        return self.spec.datasets[self.dataset]

    @property
    def pictures(self) -> Path:
        """Evaluation images for the report, kept once for all cells of a data set."""
        return self.folder.parents[1] / "pictures" / file_name(self.dataset)

    def identity(self, dataset_hash: str) -> dict[str, Any]:
        """Everything that decides the cell's result; a finished row is reused only when this is equal."""
        split = {"val_share": self.source.val_share, "split_seed": self.source.split_seed}
        return {
            "task": self.spec.task,
            "model": asdict(self.model),
            "dataset": self.dataset,
            "dataset_hash": dataset_hash,
            "seed": self.seed,
            "budget": asdict(self.spec.budget),
            "protocol": asdict(self.spec.protocol),
            "options": self.spec.train,
            **({"split": split} if self.source.val_share else {}),
            **({"excluded": self.excluded} if self.excluded else {}),
        }


def cells(spec: Spec, data_root: Path, out: Path) -> list[Cell]:
    """Every cell with its data and folder. Raises SpecError when a dataset is not there."""
    data = {name: locate(f"datasets.{name}", source.path, data_root) for name, source in spec.datasets.items()}
    return [
        Cell(spec, model, dataset, data[dataset], seed, (out / "cells" / key).resolve())
        for key, (model, dataset, seed) in cell_keys(spec).items()
    ]


def cell_keys(spec: Spec) -> dict[str, tuple[Model, str, int]]:
    """Folder name -> model, dataset, seed. Models vary fastest, so that one comparison is complete early.

    Raises SpecError when two cells would share a folder.
    """
    found: dict[str, tuple[Model, str, int]] = {}
    for dataset, seed, model in product(spec.datasets, spec.seeds, spec.models):
        key = f"{model.label}-{file_name(dataset)}-s{seed}"
        if key in found:
            other = f"{found[key][0].label} on {found[key][1]!r}"
            raise SpecError(
                f"datasets.{dataset}: {model.label} on {dataset!r} and {other} would both be the cell {key}; "
                "rename a dataset"
            )
        found[key] = model, dataset, seed
    return found


def locate(key: str, path: str, data_root: Path) -> Path:
    """A file or folder of the spec. Raises SpecError, with the spec's key, when it is not there."""
    found = (data_root / path).expanduser().resolve()
    if not found.exists():
        siblings = [p.name for p in found.parent.iterdir()] if found.parent.is_dir() else []
        raise SpecError(
            f"{key}: {found} does not exist{nearest(found.name, siblings) if siblings else ''}"
            "\nRelative paths are read from --data-root (default: the current directory)."
        )
    return found
