"""What whole models and their blocks cost, side by side: `yoloplug profile` from Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from yoloplug.bridge.model import load
from yoloplug.cost.blocks import BlockCost, block_costs, blocks_in, lone_seat
from yoloplug.cost.models import ModelCost, model_costs
from yoloplug.cost.report import block_table, model_table, save_chart, write_tables
from yoloplug.cost.timing import TimingProtocol
from yoloplug.errors import YoloplugError
from yoloplug.modelfile.report import check
from yoloplug.registry import BLOCKS


@dataclass
class Profile:
    """`str()` gives the tables that `yoloplug profile` prints."""

    protocol: TimingProtocol
    models: list[ModelCost] = field(default_factory=list)
    blocks: list[BlockCost] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n\n".join([str(self.protocol), *self._models(), *self._blocks()])

    def write_csv(self, file: str | Path) -> list[Path]:
        """Models go to `file`, blocks to its sibling NAME-blocks.csv; returns what was written."""
        return write_tables(Path(file), self.models, self.blocks, self.protocol)

    def save_chart(self, file: str | Path) -> None:
        """Bars, as .png, .svg or .pdf."""
        save_chart(Path(file), self.models, self.blocks, self.protocol)

    def _models(self) -> list[str]:
        return [model_table(self.models, self.protocol.imgsz)] if self.models else []

    def _blocks(self) -> list[str]:
        note = "each against a 3x3 Conv-BatchNorm-SiLU of its shape, the two taking turns"
        return [f"{block_table(self.blocks)}\n{note}"] if self.blocks else []


def profile(
    *models: str,
    imgsz: int = 640,
    batch: int = 1,
    device: str = "cpu",
    threads: int = 0,
    runs: int = 50,
    every_block: bool = False,
    trust: bool = False,
    say: Callable[[str], object] = lambda text: None,
) -> Profile:
    """Time model YAMLs and checkpoints in turns, and each block in them beside a plain convolution.

        print(yoloplug.profile("yolov8n.yaml", "yolov8n-C2f_gnConv.yaml", imgsz=320, runs=20))

    threads: of the CPU, 0 for torch's choice. every_block: each block of the catalogue alone, at 64 channels, instead
    of those of the models. trust: let checkpoints run code that they carry. say: is told each table when it is known.
    Raises YoloplugError for an unknown model or a wrong number.
    """
    done = Profile(TimingProtocol(imgsz, batch, device, threads, runs))
    if threads:
        torch.set_num_threads(threads)
    for file in models:
        if not file.endswith(".pt"):
            check(file, imgsz)  # its messages say row, line and remedy
    if not models and not every_block:
        raise YoloplugError("profile needs a model, e.g. yoloplug profile yolov8n.yaml, or --blocks")
    loaded = {file: load(file, trust) for file in models}
    say(f"{done.protocol}\n")
    done.models = model_costs(loaded, done.protocol) if loaded else []
    for table in done._models():
        say(f"{table}\n")
    if every_block:
        seats = [lone_seat(name, 64, max(1, imgsz // 8), batch) for name in sorted(BLOCKS, key=str.lower)]
    else:
        images = torch.rand(batch, 3, imgsz, imgsz)
        seats = [seat for model in loaded.values() for seat in blocks_in(model, images)]
    done.blocks = block_costs(seats, done.protocol)
    for table in done._blocks():
        say(table)
    return done
