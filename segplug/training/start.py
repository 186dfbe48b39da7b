"""What a run starts from: fresh weights, those of an earlier run (`init`), or its own last epoch (`resume`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import nn

from segplug.errors import SegplugError
from segplug.inference.checkpoint import load_model, read_checkpoint
from segplug.models.create import create_model, encoder_for
from segplug.training.config import TrainConfig
from segplug.training.crops.augmentation import read_augment
from yoloplug.files import remove_leftovers

OF_NETWORK = ("model", "encoder", "options")


@dataclass(frozen=True)
class Start:
    """config: as it is saved. weights: a checkpoint of the network, None for fresh ones. epoch: finished ones.

    origin: which run `init` named, with epoch and data, as checkpoints and scores keep it; None without.
    """

    config: TrainConfig
    weights: Path | None
    epoch: int
    origin: dict[str, Any] | None

    def network(self) -> nn.Module:
        """In training mode, on the CPU."""
        if self.weights is not None:
            return load_model(self.weights)[0].train()
        config = self.config
        return create_model(config.model, config.encoder, config.encoder_weights, **config.options)

    def __str__(self) -> str:
        """For the line that a run prints as it begins."""
        text = f", resuming after epoch {self.epoch}" if self.epoch else ""
        if self.origin is not None:
            text += ", started from {checkpoint} (epoch {epoch} on {data})".format(**self.origin)
        return text


def start_of(config: TrainConfig) -> Start:
    """Encoder named, augmentations in full. Raises SegplugError on what cannot be started or resumed so."""
    if isinstance(config.augment, str):
        config = replace(config, augment=read_augment(Path(config.augment)))
    last = Path(config.out) / "last.ckpt"
    if last.exists():
        return _resumed(config, last)
    if config.init is None:
        config = replace(config, encoder=encoder_for(config.model, config.encoder, config.encoder_weights))
        return Start(config, None, 0, None)
    path = Path(config.init)
    about = read_checkpoint(path)["segplug"]
    origin = {"checkpoint": config.init, "epoch": int(about["row"]["epoch"]), "data": about["train"]["data"]}
    return Start(_of_network(config, path, about["train"]), path, 0, origin)


@contextmanager
def alone_in(out: Path, rank: int) -> Iterator[None]:
    """Hold the folder against other runs; what killed ones left half written is removed. Rank 0 acts for all."""
    if rank > 0:
        yield
        return
    new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    lock = out / ".lock"
    try:
        with FileLock(lock, timeout=0):
            remove_leftovers(out)
            try:
                yield
            finally:
                if new and list(out.iterdir()) == [lock]:  # refused before it wrote anything
                    lock.unlink()
                    out.rmdir()
    except Timeout as error:
        raise SegplugError(f"{out}: another run is training there", "wait for it, or choose another out") from error


def _resumed(config: TrainConfig, last: Path) -> Start:
    if not config.resume:
        raise SegplugError(
            f"{last.parent} already holds a run; resume it (resume=True, --resume) or choose another out"
        )
    about = read_checkpoint(last, to_resume=True)["segplug"]
    _check_settings(about["train"], last)
    config = replace(config, init=config.init or about["train"].get("init"))
    if config.init is None:
        config = replace(config, encoder=encoder_for(config.model, config.encoder, config.encoder_weights))
    else:
        config = _of_network(config, last, about["train"])
    config.check_resume(about["train"], last.parent)
    return Start(config, last, int(about["row"]["epoch"]), about.get("start"))


def _check_settings(saved: dict[str, Any], last: Path) -> None:
    """Raise SegplugError unless the values that `last` holds are ones that a run can have."""
    try:
        TrainConfig(**{f.name: saved[f.name] for f in fields(TrainConfig) if f.name in saved})
    except SegplugError as error:
        raise SegplugError(f"{last}: damaged: a run cannot have the setting {error}") from error


def _of_network(config: TrainConfig, path: Path, saved: dict[str, Any]) -> TrainConfig:
    """The settings with the network of the checkpoint `path`; those typed must agree with it."""
    if config.encoder_weights is not None:
        raise SegplugError(f"init {path} holds the encoder's weights already", "leave encoder_weights out")
    untyped: dict[str, Any] = {f.name: f.default for f in fields(config)} | {"options": {}}
    for name in OF_NETWORK:
        given = getattr(config, name)
        if given not in (untyped[name], saved.get(name)):
            raise SegplugError(
                f"{path} holds {name} {saved.get(name)!r}, not {given!r}",
                f"leave {name} out, it is the weights'",
                (name,),
            )
    return replace(config, model=saved["model"], encoder=saved.get("encoder"), options=saved.get("options", {}))
