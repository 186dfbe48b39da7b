"""What is compared: models x datasets x seeds under one budget, read from one YAML file."""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from experiments.strict import SpecError, load, nearest

__all__ = [
    "Budget",
    "Cell",
    "Dataset",
    "Engine",
    "Model",
    "Protocol",
    "Spec",
    "Subset",
    "cell_keys",
    "cells",
    "locate",
    "read_spec",
]

TASKS = ("detect", "segment")
BUDGETS = ("params", "flops")
ENGINES = ("local", "ray")
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
        return "-".join(_safe(part) for part in parts if part)


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
    """The evaluation images less those that the text file `exclude` lists, one a line; scored beside all of them."""

    exclude: str


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
        for logger in self.loggers:
            if logger not in LOGGERS:
                raise ValueError(f"loggers names {logger!r}{nearest(logger, LOGGERS)}")
        if _safe(self.name) != self.name:
            raise ValueError(f"name {self.name!r} may hold letters, digits, '.', '_' and '-' only")
        for subset in self.subsets:
            if _safe(subset) != subset:
                raise ValueError(f"subsets names {subset!r}; use letters, digits, '.', '_' and '-' only")
        if not self.datasets:
            raise ValueError("datasets is empty; write `name: path` for at least one")
        labels = [model.label for model in self.models]
        for kind, items in (("models", labels), ("seeds", [str(seed) for seed in self.seeds])):
            twice = sorted({item for item in items if items.count(item) > 1})
            if twice:
                raise ValueError(f"{kind} lists {', '.join(twice)} more than once")
        others = [model.model for model in self.models if model.matched_to is None]
        for model in self.models:
            if model.matched_to is not None and model.matched_to not in others:
                raise ValueError(f"models holds no {model.matched_to!r} to match{nearest(model.matched_to, others)}")


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
        return self.folder.parents[1] / "pictures" / _safe(self.dataset)

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


def read_spec(path: Path) -> Spec:
    """Parse and check the text alone; data and model names are checked by `experiments.run.plan`."""
    return load(Spec, path)


def cells(spec: Spec, data_root: Path, out: Path) -> list[Cell]:
    """Every cell with its data and folder. Raises SpecError when a dataset is not there."""
    data = {name: locate(f"datasets.{name}", source.path, data_root) for name, source in spec.datasets.items()}
    return [
        Cell(spec, model, dataset, data[dataset], seed, (out / "cells" / key).resolve())
        for key, (model, dataset, seed) in cell_keys(spec).items()
    ]


def cell_keys(spec: Spec) -> dict[str, tuple[Model, str, int]]:
    """Folder name -> model, dataset, seed. Models vary fastest, so that one comparison is complete early."""
    return {
        f"{model.label}-{_safe(dataset)}-s{seed}": (model, dataset, seed)
        for dataset in spec.datasets
        for seed in spec.seeds
        for model in spec.models
    }


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


def _stem(model: str) -> str:
    return re.sub(r"\.ya?ml$", "", model.replace("\\", "/").rsplit("/", 1)[-1])


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)
