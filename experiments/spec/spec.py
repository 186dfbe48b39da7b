"""What is compared: models x datasets x seeds under one budget."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from experiments.spec.budget import Budget, Engine, Protocol, changed
from experiments.tasks import TASKS
from segplug.settings import SettingError, Settings, number, require
from yoloplug.names import choices

LOGGERS = ("tensorboard", "mlflow", "wandb")
MOST_CELLS = 10_000
MOST_SEED = 2**32 - 1  # what NumPy takes
_MOST_LETTERS = 80  # of a name that becomes part of a file's


@dataclass(frozen=True)
class Model(Settings):
    """A YOLO YAML (detect, segment), or an architecture with the encoder and the `options` that it needs (segment).

    `name`: what tables and folders call it; with `options` there must be one.
    `matched_to`: another model of the spec, to whose parameters, FLOPs or latency (`by`) this YAML's widths are scaled.
    `imgsz`: px, network input of a YOLO YAML among segmentation models, in place of the budget's.
    `init`: checkpoint below --data-root whose weights a YOLO YAML starts from; `preserve`: so that it computes at first
    what the checkpoint's model does. `fresh_as`: another model of the spec that starts from the same checkpoint; what
    that one cannot take from it starts at random here too, which makes a control of the checkpoint's own model.
    """

    shorthand: ClassVar[str] = "model"

    model: str
    encoder: str | None = None
    encoder_weights: str | None = None
    matched_to: str | None = None
    by: Literal["params", "flops", "latency"] | None = None
    imgsz: int | None = number(32, 8192, None)
    init: str | None = None
    preserve: bool = False
    fresh_as: str | None = None
    options: Mapping[str, Any] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.imgsz is None or self.imgsz % 32 == 0, "imgsz", "a multiple of 32", self.imgsz)
        require(bool(_stem(self.model).strip(". ")), "model", "the name of a model", self.model)
        if (self.matched_to is None) != (self.by is None):
            key = "by" if self.matched_to is None else "matched_to"
            raise SettingError("goes with the other: {model: a.yaml, matched_to: b.yaml, by: params}", (key,))
        require(self.init is None or self.init.endswith(".pt"), "init", "a .pt file", self.init)
        for key in changed(self, {"preserve", "fresh_as"} if self.init is None else set()):
            raise SettingError(f"goes with init: {{model: a.yaml, init: yolov8n.pt, {key}: …}}", (key,))
        if self.fresh_as is not None and (self.preserve or self.matched_to is not None):
            raise SettingError("is a control of its own; leave preserve and matched_to out", ("fresh_as",))
        if self.name is not None:
            _check_name(self.name, ("name",))
        if self.kind != "yaml":
            for key in changed(self, {"init", "imgsz", "matched_to"}):
                raise SettingError(f"is for YOLO models; {self.model} is none", (key,))
        elif self.options is not None:
            raise SettingError(f"is for architectures; what {self.model} is made of stands in it", ("options",))
        if self.options is not None and self.name is None:
            raise SettingError("goes with options, so that tables tell the models apart: name: sigmoid-gate", ("name",))

    @property
    def kind(self) -> Literal["yaml", "architecture"]:
        """What decides who trains it: a model YAML, or the name of an architecture."""
        return "yaml" if self.model.endswith((".yaml", ".yml")) else "architecture"

    @property
    def label(self) -> str:
        """Short name for tables and folders: `yolov8n-C2f_gnConv`, `unet-resnet18`, `yolov8n-as-C2f_gnConv-params`."""
        if self.name is not None:
            return self.name
        stem, match = _stem(self.model), None
        if self.matched_to:
            match = f"as-{_stem(self.matched_to).removeprefix(f'{stem}-')}-{self.by}"
        parts = [stem, self.encoder, self.encoder_weights, match, f"{self.imgsz}px" if self.imgsz else None]
        if self.init is not None:
            parts += [f"from-{_stem(self.init).removesuffix('.pt')}", "preserve" if self.preserve else None]
            parts += [f"fresh-as-{_stem(self.fresh_as).removeprefix(f'{stem}-')}" if self.fresh_as else None]
        return "-".join(file_name(part) for part in parts if part)


@dataclass(frozen=True)
class Dataset(Settings):
    """A folder or file below --data-root.

    `val_share`: share of the training images that are held out as val, drawn by `split_seed`; for detection data that
    has no val split of its own. `groups`: which evaluation images are crops of one photo, a regular expression or a CSV
    file below --data-root, see `experiments.spec.photos`; intervals then draw photos.
    """

    shorthand: ClassVar[str] = "path"

    path: str
    val_share: float | None = None
    split_seed: int = number(0, MOST_SEED, 0)
    groups: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.val_share is None or 0 < self.val_share < 1, "val_share", "between 0 and 1", self.val_share)
        if self.val_share is None and self.split_seed:
            raise SettingError("goes with val_share: {path: neu_det, val_share: 0.2, split_seed: 1}", ("split_seed",))
        try:
            re.compile("" if self.lists_groups else self.groups or "")
        except re.error as error:
            problem = f"{self.groups!r} is neither a regular expression ({error}) nor a .csv"
            raise SettingError(problem, ("groups",)) from error

    @property
    def lists_groups(self) -> bool:
        """`groups` is a file with the columns image and group, no rule."""
        return self.groups is not None and self.groups.endswith(".csv")


@dataclass(frozen=True)
class Subset(Settings):
    """The evaluation images less those that the text file `exclude` lists, one a line; scored beside all of them.

    `dataset`: name of the one data set whose images are meant (none: every data set's).
    """

    exclude: str
    dataset: str | None = None


@dataclass(frozen=True)
class Claim:
    """What a line of `expect` says of two models, by their short names. `word`: better, worse or equivalent."""

    model: str
    word: str
    other: str

    @staticmethod
    def read(line: str) -> "Claim":
        parts = line.split()
        if len(parts) != 4 or tuple(parts[1:3]) not in {("better", "than"), ("worse", "than"), ("equivalent", "to")}:
            raise SettingError(f"{line!r} must read `A better than B`, `A worse than B` or `A equivalent to B`")
        return Claim(parts[0], parts[1], parts[3])


@dataclass(frozen=True)
class Spec(Settings):
    """One comparison; the first model is the baseline. `train`: further options of the trainer, by its own names.

    `margin`: a difference in AP or crack IoU up to which two models are equivalent. `expect`: what is expected before
    the first cell runs, a line each: `A better than B`, `worse than` or `equivalent to`, with the models' short names.
    """

    name: str
    task: str
    models: tuple[Model, ...]
    datasets: dict[str, Dataset]
    seeds: tuple[int, ...]
    budget: Budget
    protocol: Protocol = field(default_factory=Protocol)
    train: dict[str, Any] = field(default_factory=dict)
    engine: Engine = field(default_factory=Engine)
    loggers: tuple[str, ...] = ()
    subsets: dict[str, Subset] = field(default_factory=dict)
    margin: float | None = None
    expect: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task not in TASKS:
            raise SettingError(f"{self.task!r} is unknown{choices(self.task, TASKS)}", ("task",))
        thresholds = {name for task in TASKS.values() for name in task.thresholds} - TASKS[self.task].thresholds
        for key in changed(self.protocol, thresholds):
            others = ", ".join(name for name, task in TASKS.items() if key in task.thresholds)
            raise SettingError(
                f"is for task: {others}; task: {self.task} has no such threshold; remove it", ("protocol", key)
            )
        for index, logger in enumerate(self.loggers):
            if logger not in LOGGERS:
                raise SettingError(f"{logger!r} is unknown{choices(logger, LOGGERS)}", ("loggers", index))
        if self.budget.precision is not None and "precision" in self.train:
            raise SettingError("is given by budget.precision; keep one", ("train", "precision"))
        if not self.datasets:
            raise SettingError("is empty; write `name: path` for at least one", ("datasets",))
        _check_name(self.name, ("name",))
        for name in self.datasets:
            _check_name(name, ("datasets", name), any_letters=True)
        for name, subset in self.subsets.items():
            _check_name(name, ("subsets", name))
            if subset.dataset is not None and subset.dataset not in self.datasets:
                known = choices(subset.dataset, self.datasets)
                raise SettingError(f"{subset.dataset!r} is none of the datasets{known}", ("subsets", name, "dataset"))
        labels = [model.label for model in self.models]
        for kind, items in (("models", labels), ("seeds", [str(seed) for seed in self.seeds])):
            twice = sorted({item for item in items if items.count(item) > 1})
            if twice:
                raise SettingError(f"lists {', '.join(twice)} more than once", (kind,))
        for seed in self.seeds:
            require(0 <= seed <= MOST_SEED, "seeds", f"between 0 and {MOST_SEED}", seed)
        require(self.margin is None or 0 < self.margin < 1, "margin", "between 0 and 1", self.margin)
        for index, line in enumerate(self.expect):
            self._check_claim(line, ("expect", index))
        stock = [model.model for model in self.models if model.matched_to is None]
        for index, model in enumerate(self.models):
            if len(model.label) > _MOST_LETTERS:
                raise SettingError(f"{model.label} is longer than {_MOST_LETTERS} letters", ("models", index))
            if model.matched_to is not None and model.matched_to not in stock:
                known = choices(model.matched_to, stock)
                raise SettingError(f"no model {model.matched_to!r} to match{known}", ("models", index, "matched_to"))
            started = [other.model for other in self.models if other.init == model.init and not other.fresh_as]
            if model.fresh_as is not None and model.fresh_as not in started:
                known = choices(model.fresh_as, started)
                raise SettingError(
                    f"no model {model.fresh_as!r} starts from {model.init}{known}", ("models", index, "fresh_as")
                )
        count = len(self.models) * len(self.datasets) * len(self.seeds)
        require(count <= MOST_CELLS, "models", f"at most {MOST_CELLS} cells with datasets and seeds", count)

    def _check_claim(self, line: str, key: tuple[str | int, ...]) -> None:
        try:
            claim = Claim.read(line)
        except SettingError as error:
            raise SettingError(error.problem, key) from error
        labels = [model.label for model in self.models]
        for label in (claim.model, claim.other):
            if label not in labels:
                raise SettingError(f"{line!r} names {label!r}, which is no model{choices(label, labels)}", key)
        if claim.word == "equivalent" and self.margin is None:
            raise SettingError(f"{line!r} needs a margin; write margin: 0.01", key)


def _check_name(name: str, key: tuple[str, ...], any_letters: bool = False) -> None:
    """A name becomes part of a path. Raises SettingError on one that could not, or would lead elsewhere."""
    written = any_letters or file_name(name) == name
    if not written or not name.strip(". ") or len(name) > _MOST_LETTERS:
        letters = "" if any_letters else ": letters, digits, '.', '_' and '-'"
        raise SettingError(f"{name!r} is no name of 1 to {_MOST_LETTERS} letters{letters}", key)


def _stem(model: str) -> str:
    return re.sub(r"\.ya?ml$", "", model.replace("\\", "/").rsplit("/", 1)[-1])


def file_name(text: str) -> str:
    """The text with `_` for everything that a file name should not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)
