"""CrackModule: one network, its loss, schedule, EMA and validation metrics, as a LightningModule."""

from math import isfinite, nan
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from segplug.data.labels import NO_LABEL
from segplug.errors import NonFiniteLoss
from segplug.inference.checkpoint import EMA, FORMAT, MODEL, weights_digest
from segplug.inference.probability import image_logits, normalise
from segplug.losses import LossSum
from segplug.losses.deep_supervision import supervised_loss
from segplug.metrics import MetricSum
from segplug.models.preprocessing import preprocessing_of
from segplug.training.config import TrainConfig
from segplug.training.ema import ema_of
from segplug.training.ranks import any_rank, gather, rank, world
from segplug.training.schedules import lr_factor


class CrackModule(L.LightningModule):
    """Batches are (N, 3, H, W) uint8 images and (N, 1, H, W) masks of 0, 1, 255. `row` holds the epoch's figures.

    steps_per_epoch counts steps of the optimizer. origin: of the weights, kept in checkpoints. With `config.ema`,
    `ema` is validated and handed out, and `model` is what is trained on. Under DDP each rank adds its share; `row`
    is the same on all of them.
    """

    def __init__(
        self, model: nn.Module, config: TrainConfig, steps_per_epoch: int, origin: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.ema = ema_of(model, config.ema) if config.ema is not None else None
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.origin = origin
        self.loss = LossSum(config.loss)
        self.row: dict[str, float] = {}
        self._train_losses: list[Tensor] = []
        self._val_losses: list[float] = []
        self._val_metrics = MetricSum()

    def on_train_epoch_start(self) -> None:
        # Seeded anew each epoch: a resumed run draws the same dropout as an unbroken one.
        torch.manual_seed(1_000_003 * self.config.seed + self.current_epoch + 7_368_787 * rank())
        self._train_losses.clear()
        self.row = {"epoch": self.current_epoch + 1, "lr": self.optimizers().param_groups[0]["lr"]}  # type: ignore[union-attr]

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, masks = batch
        loss = supervised_loss(self.loss, self.model(normalise(images, preprocessing_of(self.model))), masks)
        self._check_finite(loss, index + 1)
        self._train_losses.append(loss.detach())
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.ema is not None:
            self.ema.update_parameters(self.model)

    def on_validation_epoch_start(self) -> None:
        self._val_losses.clear()
        self._val_metrics = MetricSum()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor | None:
        """One whole image a rank. Returns its (H, W) probability, None where a rank only keeps step with the others."""
        images, masks = batch
        logits = image_logits(self.model if self.ema is None else self.ema.module, images)
        loss = self.loss(logits, masks)
        self._check_finite(loss, None)
        if index * world() + rank() >= len(self.trainer.val_dataloaders.dataset):  # type: ignore[union-attr]
            return None
        self._val_losses.append(loss.item())
        probability = torch.sigmoid(logits[0, 0].float()).cpu()
        mask = masks[0, 0].cpu().numpy()
        self._val_metrics.add(probability.numpy(), mask == 1, mask != NO_LABEL)
        return probability

    def on_validation_epoch_end(self) -> None:
        shares = gather((self._val_losses, self._val_metrics))
        losses = [loss for part, _ in shares for loss in part]
        metrics = MetricSum()
        for _, part in shares:
            metrics += part
        scores = metrics.scores()
        self.row["val_loss"] = sum(losses) / len(losses)
        self.row.update({f"val_{name}": scores[name] for name in ("iou_crack", "miou", "f1", "ods_f1")})

    def finish_row(self, seconds: float) -> None:
        """Add the mean training loss and the epoch's wall time."""
        shares = gather(torch.stack(self._train_losses).mean().item())
        self.row["train_loss"] = sum(shares) / len(shares)
        self.row["seconds"] = seconds

    def configure_optimizers(self) -> Any:
        config = self.config
        decayed = [p for p in self.model.parameters() if p.requires_grad and p.ndim > 1]
        spared = [p for p in self.model.parameters() if p.requires_grad and p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": spared, "weight_decay": 0.0}],
            lr=config.lr,
        )
        warmup = round(config.warmup_epochs * self.steps_per_epoch)
        total = config.epochs * self.steps_per_epoch

        def factor(step: int) -> float:
            return lr_factor(step, warmup, total, config.schedule, config.power, config.final_lr)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        train = self.config.plain()
        model = {"name": train["model"], "encoder": train["encoder"], "in_channels": 3, "classes": 1}
        checkpoint["segplug"] = {
            "format": FORMAT,
            "model": {**model, **train["options"]},
            "preprocessing": preprocessing_of(self.model).plain(),
            "train": train,
            "start": self.origin,
            "row": dict(self.row),
        }
        if "optimizer_states" not in checkpoint and self.ema is not None:  # best.ckpt: only what is handed out
            weights = checkpoint["state_dict"]
            checkpoint["state_dict"] = {
                MODEL + name.removeprefix(EMA): weights[name] for name in weights if name.startswith(EMA)
            }
        checkpoint["segplug"]["sha256"] = weights_digest(checkpoint["state_dict"])

    def _check_finite(self, loss: Tensor, step: int | None) -> None:
        if not any_rank(~torch.isfinite(loss.detach())):  # all stop together, else the others would wait for ever
            return
        if rank() > 0:
            raise SystemExit(2)  # rank 0 says why
        value = loss.item()
        raise NonFiniteLoss(self.current_epoch + 1, step, nan if isfinite(value) else value, self.config.lr)
