"""What is run: one model on one dataset with one seed, its data opened and its folder named."""

from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from experiments.errors import SpecError
from experiments.spec.spec import Dataset, Model, Spec, file_name


class Data(Protocol):
    """A data set, opened once for all that is done with it: checks, subsets, training, evaluation, prediction."""

    def check(self) -> None:
        """Read every image and label once. Raises SegplugError."""

    def content_hash(self) -> str: ...

    @property
    def scored(self) -> list[str]:
        """Names of the evaluation images."""
        ...

    def listed(self, file: Path) -> list[str]:
        """Names of the evaluation images that a text file lists. Raises SegplugError on one that is none of them."""


class Checkpoint(NamedTuple):
    """Weights to start from, and a hash of their file."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Cell:
    """One training and its evaluation: one model, one dataset, one seed.

    `data`: of the task's own class. `excluded`: subset of the spec -> names of the evaluation images that it omits.
    `photos`: evaluation image -> the photo that it is a crop of; empty where the spec names no groups. `init`: of its
    model.
    """

    spec: Spec
    model: Model
    dataset: str
    data: Any = field(repr=False)
    dataset_hash: str
    seed: int
    folder: Path
    excluded: dict[str, list[str]] = field(default_factory=dict)
    photos: dict[str, str] = field(default_factory=dict)
    init: Checkpoint | None = None

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def source(self) -> Dataset:
        """What the spec says about the cell's data."""
        return self.spec.datasets[self.dataset]

    @property
    def pictures(self) -> Path:
        """Evaluation images for the report, kept once for all cells of a data set."""
        return self.folder.parents[1] / "pictures" / file_name(self.dataset)

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the cell's result; a finished row is reused only when this is equal."""
        split = {"val_share": self.source.val_share, "split_seed": self.source.split_seed}
        return {
            "task": self.spec.task,
            "model": asdict(self.model),
            "dataset": self.dataset,
            "dataset_hash": self.dataset_hash,
            "seed": self.seed,
            "budget": {name: value for name, value in asdict(self.spec.budget).items() if value is not None},
            "protocol": asdict(self.spec.protocol),
            "options": self.spec.train,
            **({"split": split} if self.source.val_share else {}),
            **({"excluded": self.excluded} if self.excluded else {}),
            **({"init_sha256": self.init.sha256} if self.init else {}),
        }


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
                f"{model.label} on {dataset!r} and {other} would both be the cell {key}; rename a dataset",
                ("datasets", dataset),
            )
        found[key] = model, dataset, seed
    return found
