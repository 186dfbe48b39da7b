"""Time a training step of the deformable blocks against a plain 3x3 Conv and torchvision's operation.

Example: python -m experiments.speed.deformable --threads 2 --rounds 5
prints a table in Markdown: milliseconds of forward + backward (median and fastest round), and the median's ratio to the
plain Conv and to torchvision's deformable convolution with mask. All rows run in turn in every round, so that a busy
machine slows them alike; offsets differ from zero by about 0.7 pixels, as in a trained model.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
import torchvision
from torch import Tensor, nn

from yoloplug.blocks import DCNv1, DCNv2, DCNv3, DCNv4

Row = tuple[str, nn.Module]


class Torchvision(DCNv2):
    """DCNv2 by torchvision's operation."""

    def forward(self, x: Tensor) -> Tensor:
        offset, mask = self.conv_offset(x).split([2 * self.k**2, self.k**2], dim=1)
        deform = torchvision.ops.deform_conv2d
        return deform(x, offset, self.weight, padding=self.p, mask=mask.sigmoid())


def rows(c: int) -> list[Row]:
    """The modules to time, their predictors moved away from zero."""
    made: list[Row] = [
        ("Conv 3x3", nn.Conv2d(c, c, 3, padding=1)),
        ("torchvision (DCNv2)", Torchvision(c, c)),
        ("DCNv1", DCNv1(c, c)),
        ("DCNv2", DCNv2(c, c)),
        ("DCNv3", DCNv3(c)),
        ("DCNv4", DCNv4(c)),
    ]
    for _, module in made:
        for name in ("conv_offset", "offset", "offset_mask"):
            predictor = getattr(module, name, None)
            if predictor is not None:
                fan_in = predictor.weight[0].numel()
                nn.init.normal_(predictor.weight, std=0.7 * fan_in**-0.5)
    return made


def step_ms(module: nn.Module, x: Tensor) -> float:
    """Milliseconds of one forward and backward pass, gradient of the input included."""
    synchronise: Callable[[], None] = torch.cuda.synchronize if x.is_cuda else lambda: None
    module.zero_grad()
    x = x.detach().requires_grad_()
    synchronise()
    start = time.perf_counter()
    y = module(x)
    y.backward(torch.ones_like(y))
    synchronise()
    return 1e3 * (time.perf_counter() - start)


def table(made: list[Row], x: Tensor, rounds: int) -> str:
    times: dict[str, list[float]] = {name: [] for name, _ in made}
    for turn in range(rounds + 1):
        for name, module in made:
            spent = step_ms(module, x)
            if turn:  # the first round warms up
                times[name].append(spent)
    median = {name: statistics.median(rounds_ms) for name, rounds_ms in times.items()}
    conv, reference = (median[name] for name, _ in made[:2])
    lines = ["| block | median ms | fastest ms | x Conv | x torchvision |", "| --- | --- | --- | --- | --- |"]
    for name, rounds_ms in times.items():
        ratios = f"{median[name] / conv:.2f} | {median[name] / reference:.3f}"
        lines.append(f"| {name} | {median[name]:.0f} | {min(rounds_ms):.0f} | {ratios} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--channels", type=int, default=64, help="a multiple of 4 (default 64)")
    parser.add_argument("--size", type=int, default=80, help="height and width of the map (default 80)")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds after one that warms up (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="threads on a CPU (default 2)")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)
    if min(given.batch, given.channels, given.size, given.rounds, given.threads) < 1 or given.channels % 4:
        parser.error("every number must be at least 1, and --channels a multiple of 4")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    x = torch.randn(given.batch, given.channels, given.size, given.size, device=given.device)
    print(f"{tuple(x.shape)}, {given.device}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print(table([(name, module.to(given.device)) for name, module in rows(given.channels)], x, given.rounds))


if __name__ == "__main__":
    main()
