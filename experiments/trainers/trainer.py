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

    @property
    def check_options(self) -> Callable[[Mapping[str, Any], Path], None]:
        """The spec's `train`; relative paths in it start at the data's root."""

    @property
    def open_data(self) -> Callable[[Path, Dataset, Mapping[str, Any], Path], Data]:
        """The data set at a path, as the spec's dataset and `train` say; the last is the data's root."""

    @property
    def check_model(self) -> Callable[[Model], None]:
        """Build the model once, so that a wrong name or block is found."""

    @property
    def check_cell(self) -> Callable[[Cell], None]:
        """What only model, data and budget together show."""

    @property
    def run_cell(self) -> Callable[[Cell, Epochs], Result]:
        """Train (or go on training), predict, score."""

    @property
    def measure_cost(self) -> Callable[[Path, Budget, Measured], dict[str, Any]]:
        """Parameters, FLOPs and latency of trained weights."""

    @property
    def training_steps(self) -> Callable[[Cell], Steps]:
        """Of the model in memory, on made-up images, for timing; nothing is written."""
