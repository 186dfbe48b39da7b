"""What every model of a comparison may spend, how it is measured, and where cells run."""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from segplug.settings import SettingError, Settings, number, require
from yoloplug.names import choices

MOST_THREADS = 1024
_MOST = 1_000_000
# Engine -> the keys that it reads.
_READS = {"local": {"name", "jobs", "retries"}, "ray": {"name", "cpus", "gpus", "retries", "address"}}


@dataclass(frozen=True)
class Budget(Settings):
    """What every model of the spec may spend. `imgsz` in px: network input of YOLO, training crop of others.

    `precision` of the layers in training: bf16 is autocast, on a CPU too; none is the trainer's own choice.
    """

    epochs: int = number(1, 100_000)
    imgsz: int = number(32, 8192)
    batch: int = number(1, 65_536)
    device: str = "cpu"
    workers: int = number(0, MOST_THREADS, 2)
    threads: int = number(1, MOST_THREADS, 2)
    precision: Literal["32", "bf16"] | None = None

    def __post_init__(self) -> None:
        if type(self.device) is int:  # as YAML reads the number of a GPU
            object.__setattr__(self, "device", str(self.device))
        super().__post_init__()
        require(self.imgsz % 32 == 0, "imgsz", "a multiple of 32", self.imgsz)


@dataclass(frozen=True)
class Protocol(Settings):
    """How a trained model is measured. `conf`, `iou`, `max_det`: thresholds of YOLO's prediction.

    `threshold`: probability from which a pixel is crack; none: the one of best F1 on the validation images, where there
    are any, else 0.5.
    """

    conf: float = number(0, 1, 0.001)
    iou: float = number(0, 1, 0.7)
    max_det: int = number(100, _MOST, 300)  # COCOeval keeps 100 per image
    threshold: float | None = number(0, 1, None)
    latency_runs: int = number(50, _MOST, 50)
    latency_warmup: int = number(1, _MOST, 10)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.conf < 1, "conf", "below 1", self.conf)
        require(self.iou > 0, "iou", "above 0", self.iou)
        require(self.threshold is None or 0 < self.threshold < 1, "threshold", "between 0 and 1", self.threshold)


@dataclass(frozen=True)
class Engine(Settings):
    """Where cells run; never part of what they are. `local`: `jobs` processes here, 1 being this one. `ray`: a cluster.

    Per cell on ray: `cpus` (none: budget.threads) and `gpus`, a share such as 0.5 (none: 1 unless on the CPU).
    `retries`: how often a cell whose process died is taken up again.
    """

    shorthand: ClassVar[str] = "name"

    name: Literal["local", "ray"] = "local"
    jobs: int = number(1, MOST_THREADS, 1)
    cpus: float | None = number(0, MOST_THREADS, None)
    gpus: float | None = number(0, MOST_THREADS, None)
    retries: int = number(0, 1000, 3)
    address: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = _READS[self.name]
        for key in changed(self, set(vars(self)) - keys):
            raise SettingError(f"has no effect on engine {self.name}{choices(key, keys)}", (key,))
        share = self.gpus is None or self.gpus <= 1 or self.gpus % 1 == 0
        require(share, "gpus", "a share of one GPU or a whole number", self.gpus)


def changed(settings: Settings, names: set[str]) -> list[str]:
    """Those of the fields that are not at their default."""
    return [f.name for f in fields(settings) if f.name in names and getattr(settings, f.name) != f.default]  # type: ignore[arg-type]
