"""What is compared: models x datasets x seeds under one budget, read from one YAML file."""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from experiments.spec.strict import load, nearest

__all__ = [
    "Budget",
    "Dataset",
    "Engine",
    "Model",
    "Protocol",
    "Spec",
    "Subset",
    "file_name",
    "read_spec",
]

TASKS = ("detect", "segment")
BUDGETS = ("params", "flops")
# Engine -> the keys that it reads.
ENGINES = {"local": {"name", "jobs", "retries"}, "ray": {"name", "cpus", "gpus", "retries", "address"}}
LOGGERS = ("tensorboard", "mlflow", "wandb")


@dataclass(frozen=True)
class Model:
    """A YOLO YAML (detect, segment), or an architecture with the encoder that it needs (segment).

    `matched_to`: another model of the spec, to whose parameters or FLOPs (`by`) this YAML's widths are scaled.
    `imgsz`: px, network input of a YOLO YAML among segmentation models, in place of the budget's.
    """

    model: str
    encoder: str | None = None
    encoder_weights: str | None = None
    matched_to: str | None = None
    by: str | None = None
    imgsz: int | None = None

    def __post_init__(self) -> None:
        if self.imgsz is not None and (self.imgsz < 32 or self.imgsz % 32):
            raise ValueError(f"imgsz must be a multiple of 32, got {self.imgsz}")
        if self.by is not None and self.by not in BUDGETS:
            raise ValueError(f"by {self.by!r} is no budget{nearest(self.by, BUDGETS)}")
        if (self.matched_to is None) != (self.by is None):
            raise ValueError("matched_to and by go together: {model: a.yaml, matched_to: b.yaml, by: params}")

    @staticmethod
    def from_text(text: str) -> dict[str, str]:
        return {"model": text}

    @property
    def is_yolo(self) -> bool:
        """Trained by Ultralytics from a model YAML."""
        return self.model.endswith((".yaml", ".yml"))

    @property
    def label(self) -> str:
        """Short name for tables and folders: `yolov8n-C2f_gnConv`, `unet-resnet18`, `yolov8n-as-C2f_gnConv-params`."""
        stem, match = _stem(self.model), None
        if self.matched_to:
            match = f"as-{_stem(self.matched_to).removeprefix(f'{stem}-')}-{self.by}"
        parts = [stem, self.encoder, self.encoder_weights, match, f"{self.imgsz}px" if self.imgsz else None]
        return "-".join(file_name(part) for part in parts if part)


@dataclass(frozen=True)
class Dataset:
    """A folder or file below --data-root.

    `val_share`: share of the training images that are held out as val, drawn by `split_seed`; for detection data that
    has no val split of its own.
    """

    path: str
    val_share: float | None = None
    split_seed: int = 0

    def __post_init__(self) -> None:
        if self.val_share is not None and not 0 < self.val_share < 1:
            raise ValueError(f"val_share must lie between 0 and 1, got {self.val_share}")
        if self.split_seed < 0:
            raise ValueError(f"split_seed must be at least 0, got {self.split_seed}")
        if self.val_share is None and self.split_seed:
            raise ValueError("split_seed goes with val_share: {path: neu_det, val_share: 0.2, split_seed: 1}")

    @staticmethod
    def from_text(text: str) -> dict[str, str]:
        return {"path": text}


@dataclass(frozen=True)
class Budget:
    """What every model of the spec may spend. `imgsz` in px: network input of YOLO, training crop of others."""

    epochs: int
    imgsz: int
    batch: int
    device: str = "cpu"
    workers: int = 2
    threads: int = 2

    def __post_init__(self) -> None:
        for name in ("epochs", "imgsz", "batch", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.workers < 0:
            raise ValueError(f"workers must be at least 0, got {self.workers}")
        if self.imgsz % 32:
            raise ValueError(f"imgsz must be a multiple of 32, got {self.imgsz}")


@dataclass(frozen=True)
class Protocol:
    """How a trained model is measured. `conf`, `iou`, `max_det`: thresholds of YOLO's prediction."""

    conf: float = 0.001
    iou: float = 0.7
    max_det: int = 300
    latency_runs: int = 50
    latency_warmup: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.conf < 1 or not 0 < self.iou <= 1:
            raise ValueError(f"conf must be in [0, 1) and iou in (0, 1], got conf={self.conf}, iou={self.iou}")
        if self.max_det < 100:
            raise ValueError(f"max_det must be at least 100 (COCOeval keeps 100 per image), got {self.max_det}")
        if self.latency_runs < 50:
            raise ValueError(f"latency_runs must be at least 50, got {self.latency_runs}")
        if self.latency_warmup < 1:
            raise ValueError(f"latency_warmup must be at least 1, got {self.latency_warmup}")


@dataclass(frozen=True)
class Engine:
    """Where cells run; never part of what they are. `local`: `jobs` processes here, 1 being this one. `ray`: a cluster.

    Per cell on ray: `cpus` (none: budget.threads) and `gpus`, a share such as 0.5 (none: 1 unless on the CPU).
    `retries`: how often a cell whose process died is taken up again.
    """

    name: str = "local"
    jobs: int = 1
    cpus: float | None = None
    gpus: float | None = None
    retries: int = 3
    address: str | None = None

    @staticmethod
    def from_text(text: str) -> dict[str, str]:
        return {"name": text}

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ValueError(f"name {self.name!r} is no engine{nearest(self.name, ENGINES)}")
        keys = ENGINES[self.name]
        for key in _changed(self, set(vars(self)) - keys):
            raise ValueError(f"{key} has no effect on engine {self.name}{nearest(key, keys)}")
        if self.jobs < 1:
            raise ValueError(f"jobs must be at least 1, got {self.jobs}")
        if self.retries < 0:
            raise ValueError(f"retries must be at least 0, got {self.retries}")
        if (self.cpus is not None and self.cpus < 0) or (self.gpus is not None and self.gpus < 0):
            raise ValueError(f"cpus and gpus must not be negative, got {self.cpus} and {self.gpus}")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise ValueError(f"gpus must be a share of one GPU or a whole number, got {self.gpus}")


@dataclass(frozen=True)
class Subset:
    """The evaluation images less those that the text file `exclude` lists, one a line; scored beside all of them.

    `dataset`: name of the one data set whose images are meant (none: every data set's).
    """

    exclude: str
    dataset: str | None = None


@dataclass(frozen=True)
class Spec:
    """One comparison; the first model is the baseline. `train`: further options of the trainer, by its own names."""

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

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task {self.task!r} is unknown{nearest(self.task, TASKS)}")
        for key in _changed(self.protocol, {"conf", "iou", "max_det"} if self.task != "detect" else set()):
            raise ValueError(f"protocol.{key} is for task: detect; task: {self.task} has no such threshold; remove it")
        for logger in self.loggers:
            if logger not in LOGGERS:
                raise ValueError(f"loggers names {logger!r}{nearest(logger, LOGGERS)}")
        if file_name(self.name) != self.name:
            raise ValueError(f"name {self.name!r} may hold letters, digits, '.', '_' and '-' only")
        for name, subset in self.subsets.items():
            if file_name(name) != name:
                raise ValueError(f"subsets names {name!r}; use letters, digits, '.', '_' and '-' only")
            if subset.dataset is not None and subset.dataset not in self.datasets:
                known = nearest(subset.dataset, self.datasets)
                raise ValueError(f"subsets.{name}.dataset {subset.dataset!r} is none of the datasets{known}")
        if not self.datasets:
            raise ValueError("datasets is empty; write `name: path` for at least one")
        labels = [model.label for model in self.models]
        for kind, items in (("models", labels), ("seeds", [str(seed) for seed in self.seeds])):
            twice = sorted({item for item in items if items.count(item) > 1})
            if twice:
                raise ValueError(f"{kind} lists {', '.join(twice)} more than once")
        for seed in self.seeds:
            if not 0 <= seed < 2**32:  # what NumPy takes
                raise ValueError(f"seeds must lie between 0 and {2**32 - 1}, got {seed}")
        others = [model.model for model in self.models if model.matched_to is None]
        for model in self.models:
            if model.matched_to is not None and model.matched_to not in others:
                raise ValueError(f"models holds no {model.matched_to!r} to match{nearest(model.matched_to, others)}")


def read_spec(path: Path) -> Spec:
    """Parse and check the text alone; data and model names are checked by `experiments.run.plan.plan`."""
    return load(Spec, path)


def _changed(record: Any, names: set[str]) -> list[str]:
    """Those of the fields that are not at their default."""
    return [f.name for f in fields(record) if f.name in names and getattr(record, f.name) != f.default]


def _stem(model: str) -> str:
    return re.sub(r"\.ya?ml$", "", model.replace("\\", "/").rsplit("/", 1)[-1])


def file_name(text: str) -> str:
    """The text with `_` for everything that a file name should not hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)
