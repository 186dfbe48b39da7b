"""What the runner asks of whoever trains a kind of model: seven functions of a module."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from experiments.cells.cell import Cell, Data
from experiments.cells.ledger import Epochs
from experiments.cells.row import Result
from experiments.spec.budget import Budget
from experiments.spec.budget import Protocol as Measured
from experiments.spec.spec import Dataset, Model


class Steps(NamedTuple):
    """`train`: one step at the budget's batch and size. `forward`: one evaluation image. And how often.

    Reading and augmenting images, NMS and metrics are not in it.
    """

    train: Callable[[], object]
    forward: Callable[[], object]
    steps_per_epoch: int
    val_images: int
    final_images: int


class Trainer(Protocol):
    """What is wrong is refused by SegplugError (SpecError, SettingError) with the spec's key, before time is spent.

    `check_options` and `open_data` are the same for all trainers of a task.
    """

    def check_options(self, options: Mapping[str, Any], root: Path, /) -> None:
        """The spec's `train`; relative paths in it start at the data's root."""

    def open_data(self, path: Path, dataset: Dataset, options: Mapping[str, Any], root: Path, /) -> Data:
        """The data set at a path, as the spec's dataset and `train` say; the last is the data's root."""

    def check_model(self, model: Model, /) -> None:
        """Build the model once, so that a wrong name or block is found."""

    def check_cell(self, cell: Cell, /) -> None:
        """What only model, data and budget together show."""

    def run_cell(self, cell: Cell, epochs: Epochs, /) -> Result:
        """Train (or go on training), predict, score."""

    def measure_cost(self, weights: Path, budget: Budget, protocol: Measured, /) -> dict[str, Any]:
        """Parameters, FLOPs and latency of trained weights."""

    def training_steps(self, cell: Cell, /) -> Steps:
        """Of the model in memory, on made-up images, for timing; nothing is written."""
