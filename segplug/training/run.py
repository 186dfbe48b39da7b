"""Train a network: `train(TrainConfig(data="…"))` -> folder with last.ckpt, best.ckpt, metrics.csv, results.png."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from segplug.data.dataset import CrackDataset
from segplug.data.mixed import MixedDataset
from segplug.data.readers import CrackData
from segplug.data.sample import Sample
from segplug.data.split import train_val_samples
from segplug.errors import SegplugError, one_line
from segplug.inference.checkpoint import AtomicCheckpointIO
from segplug.inference.probability import fast_layout, pick_device
from segplug.models.create import parameters
from segplug.training.callbacks.epoch_record import EpochRecord
from segplug.training.callbacks.pictures import Curves, ValidationPictures
from segplug.training.callbacks.progress import EpochLines
from segplug.training.config import TrainConfig
from segplug.training.crops.crop import TrainCrop
from segplug.training.loaders import train_loader, val_loader
from segplug.training.module import CrackModule
from segplug.training.probe import check_shared_memory, check_sizes
from segplug.training.quiet import quiet_lightning
from segplug.training.start import Start, alone_in, start_of
from yoloplug.files import read_csv, write_csv, write_json


def train(config: TrainConfig, callbacks: Sequence[L.Callback] = (), data: CrackData | None = None) -> Path:
    """Train and return the run's folder. Seeds torch; test images are never read. data: the config's, if it is open.

    With config.devices above 1 the calling script is started once more for each further device, as Lightning's "ddp"
    does. Raises SegplugError on bad data or settings, a folder that already holds a run (unless `resume`), a loss that
    is not finite, a full disk.
    """
    with alone_in(Path(config.out), getattr(rank_zero_only, "rank", 0)):
        return _train(start_of(config), callbacks, data)


def _train(start: Start, callbacks: Sequence[L.Callback], data: CrackData | None) -> Path:
    config, out = start.config, Path(start.config.out)
    device = pick_device(config.device)
    first, *others = config.sources()
    splits = [train_val_samples(source, config.val_split, config.seed, _say) for source in (data or first, *others)]
    train_samples, val_samples = ([sample for split in splits for sample in split[side]] for side in (0, 1))
    if config.patience is not None and not val_samples:
        raise SegplugError("patience needs validation images: set val_split above 0, or leave patience out")
    check_shared_memory(config)
    crop = TrainCrop(config.crop, config.crack_share, config.augment, config.smallest_scale)
    training = MixedDataset([CrackDataset(train, crop, config.seed, note=_say) for train, _ in splits])
    validation = MixedDataset([CrackDataset(val, note=_say) for _, val in splits if val]) if val_samples else None

    torch.manual_seed(config.seed)
    model = start.network()
    check_sizes(model, config, len(train_samples) // config.devices)
    model = fast_layout(model.train(), device)
    record = EpochRecord(out, config.patience, config.keep_epochs)
    watchers = [record, EpochLines(config.epochs), Curves(record)]
    if validation and config.samples_every:
        watchers.append(ValidationPictures(out / "samples", validation, config.samples_every))
    with quiet_lightning():
        trainer = _trainer(config, device, [*watchers, *callbacks])
        loader = train_loader(training, config, trainer.global_rank, pin=device.type == "cuda")
        module = CrackModule(model, config, math.ceil(len(loader) / config.accumulate), start.origin)
        if trainer.is_global_zero:
            _record_split(out / "split.csv", train_samples, val_samples, start.epoch)
            write_json(out / "config.json", config.plain())
        on = f" on {config.encoder}" if config.encoder else ""
        _say(
            f"{config.model}{on}: {parameters(model) / 1e6:.2f} M parameters, "
            f"{len(train_samples)} training and {len(val_samples)} validation images, "
            + (f"{config.devices} x {device.type}" if config.devices > 1 else f"{device}")
            + str(start)
        )
        to_validate = val_loader(validation, config, trainer.global_rank) if validation else None
        last = out / "last.ckpt" if start.epoch else None
        try:
            trainer.fit(module, loader, to_validate, ckpt_path=last, weights_only=True)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if last is None or record.begun:
                raise
            reason = one_line(error)[:160]
            raise SegplugError(
                f"{last}: its state of training is damaged ({reason})", "start from it with --init"
            ) from error
    return out


def _trainer(config: TrainConfig, device: torch.device, callbacks: list[L.Callback]) -> L.Trainer:
    devices: Any = config.devices
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise SegplugError(f"devices {devices} asked for, but torch sees {torch.cuda.device_count()} CUDA devices")
    if device.type == "cuda" and devices == 1:
        devices = [device.index or 0]
    return L.Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=devices,
        # Encoders cut short leave parameters unused.
        strategy="auto" if config.devices == 1 else "ddp_find_unused_parameters_true",
        use_distributed_sampler=False,  # the loaders share out by themselves, each validation image once
        precision=_precision(config, device),  # type: ignore[arg-type]
        max_epochs=config.epochs,
        accumulate_grad_batches=config.accumulate,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=_tensorboard(Path(config.out)) if config.tensorboard else False,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=config.out,
    )


def _tensorboard(out: Path) -> Any:
    from lightning.pytorch.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(out, name="", version="tensorboard")
    except ModuleNotFoundError as error:
        raise SegplugError("tensorboard is not installed; pip install tensorboard, or train without it") from error


def _record_split(path: Path, train_samples: list[Sample], val_samples: list[Sample], resume: int) -> None:
    """split.csv says which image was trained on and which chose the checkpoint. A resumed run must find the same."""
    parts = {"train": train_samples, "val": val_samples}
    rows = [{"image": sample.name, "split": split} for split, samples in parts.items() for sample in samples]
    if resume and path.exists() and read_csv(path) != rows:
        raise SegplugError(f"{path}: the images or their groups changed since this run began; use a new out")
    write_csv(path, ("image", "split"), rows)


def _precision(config: TrainConfig, device: torch.device) -> str:
    if config.precision == "auto":
        return "bf16-mixed" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[config.precision]


@rank_zero_only
def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
