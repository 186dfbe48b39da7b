"""Train a network: `train(TrainConfig(data="…"))` -> folder with last.ckpt, best.ckpt, metrics.csv."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning as L
import torch
from torch.utils.data import DataLoader

from segplug.callbacks import EpochRecord, Progress
from segplug.checkpoint import AtomicCheckpointIO, json_writer, read_checkpoint, write_atomic
from segplug.config import TrainConfig
from segplug.data import CrackDataset, EpochSampler, Pair, find_pairs, find_splits
from segplug.errors import SegplugError
from segplug.inference import pick_device
from segplug.lit import CrackModule
from segplug.models import create_model, parameters
from segplug.split import split_train_val
from segplug.transforms import TrainCrop

__all__ = ["TrainConfig", "train"]


def train(config: TrainConfig, callbacks: Sequence[L.Callback] = ()) -> Path:
    """Train and return the run's folder. Seeds torch; test images are never read.

    Raises SegplugError on bad data or settings, a folder that already holds a run (unless `resume`), a loss that is not
    finite, a full disk.
    """
    out, last = Path(config.out), Path(config.out) / "last.ckpt"
    device = pick_device(config.device)
    resume = _resume_from(config, last)
    train_pairs, val_pairs = _train_val_pairs(config)
    training = CrackDataset(train_pairs, TrainCrop(config.crop), config.seed, note=_say)
    validation = CrackDataset(val_pairs, note=_say) if val_pairs else None

    torch.manual_seed(config.seed)
    model = create_model(config.model, config.encoder, config.encoder_weights, **config.options)
    loader = _train_loader(training, config, device)
    module = CrackModule(model, config, steps_per_epoch=len(loader))
    write_atomic(out / "config.json", json_writer(config.plain()))
    _say(
        f"{config.model} on {config.encoder}: {parameters(model) / 1e6:.2f} M parameters, "
        f"{len(train_pairs)} training and {len(val_pairs)} validation images, {device}"
        + (f", resuming after epoch {resume}" if resume else "")
    )
    with _quiet_lightning():
        trainer = L.Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=_precision(config, device),  # type: ignore[arg-type]
            max_epochs=config.epochs,
            callbacks=[EpochRecord(out), Progress(config.epochs), *callbacks],
            plugins=[AtomicCheckpointIO()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=out,
        )
        val_loader = DataLoader(validation, batch_size=1, generator=torch.Generator()) if validation else None
        trainer.fit(module, loader, val_loader, ckpt_path=last if resume else None, weights_only=True)
    return out


def _resume_from(config: TrainConfig, last: Path) -> int:
    """Finished epochs in `last`, 0 for a new run."""
    if not last.exists():
        return 0
    if not config.resume:
        raise SegplugError(
            f"{last.parent} already holds a run; resume it (resume=True, --resume) or choose another out"
        )
    about = read_checkpoint(last)["segplug"]
    config.check_resume(about["train"], last.parent)
    return int(about["row"]["epoch"])


def _train_val_pairs(config: TrainConfig) -> tuple[list[Pair], list[Pair]]:
    root = Path(config.data)
    splits = find_splits(root)
    if "train" not in splits and "all" not in splits:
        raise SegplugError(f"{root}: no train split; found: {', '.join(splits)}")
    pairs = find_pairs(root, "train" if "train" in splits else "all")
    if "val" in splits:
        return pairs, find_pairs(root, "val")
    if config.val_split == 0:
        return pairs, []
    return split_train_val(pairs, config.val_split, config.seed, config.source_rule)


def _train_loader(dataset: CrackDataset, config: TrainConfig, device: torch.device) -> DataLoader:
    return DataLoader(
        dataset,
        batch_size=config.batch,
        sampler=EpochSampler(len(dataset), config.seed),
        # A last batch of one breaks batch norm on small maps.
        drop_last=len(dataset) > config.batch,
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # its own, so that loading draws nothing from the model's random numbers
    )


def _precision(config: TrainConfig, device: torch.device) -> str:
    if config.precision == "auto":
        return "bf16-mixed" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[config.precision]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hide Lightning's start-up tips; its warnings about our deliberate choices go with them."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*but have no `val_dataloader`.*")
            warnings.filterwarnings("ignore", module="lightning.pytorch.utilities._pytree")
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
