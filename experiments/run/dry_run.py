"""`run --dry-run`: every cell, its state, and the time it will take by real steps of its model on this machine."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import NamedTuple

import torch

from experiments.cells.cell import Cell
from experiments.cells.ledger import ENDED, State, duration
from experiments.run.plan import Plan
from experiments.spec.budget import Engine
from experiments.trainers import trainer_at, trainer_name
from yoloplug.cost.timing import interleaved_ms

WARMUP, TIMED = 2, 3


class Pace(NamedTuple):
    """Seconds of a training step and of an evaluation image, and what a cell's epoch and its end cost by them."""

    step_s: float
    image_s: float
    epoch_s: float
    end_s: float

    def left_s(self, state: State) -> float:
        return 0.0 if state.phase in ENDED else (state.total - state.epochs) * self.epoch_s + self.end_s


def pace_of(cell: Cell) -> Pace:
    """Time the cell's model: the median of TIMED steps after WARMUP."""
    torch.set_num_threads(cell.spec.budget.threads)
    steps = trainer_at(trainer_name(cell.spec.task, cell.model)).training_steps(cell)
    device = "cpu" if cell.spec.budget.device == "cpu" else "cuda"
    times = interleaved_ms({"train": steps.train, "forward": steps.forward}, TIMED, WARMUP, device)
    step, image = times["train"].median / 1e3, times["forward"].median / 1e3
    return Pace(step, image, steps.steps_per_epoch * step + steps.val_images * image, steps.final_images * image)


def dry_run(plan: Plan) -> Iterator[str]:
    """The lines to print; models are timed as they come up. Writes nothing."""
    states = plan.states
    width = max(len(cell.key) for cell in plan.cells)
    yield f"{'cell':<{width}}  {'state':<10} {'epochs':>9} {'s/step':>8} {'s/epoch':>8} {'time':>9}"
    paces: dict[tuple[str, str], Pace] = {}
    lengths = []
    for cell, state in zip(plan.cells, states, strict=True):
        which = (cell.model.label, cell.dataset)
        line = f"{cell.key:<{width}}  {state.phase:<10} {f'{state.epochs}/{state.total}':>9}"
        if state.phase in ENDED:
            yield f"{line}  {state.note}".rstrip()
            continue
        if which not in paces:
            paces[which] = pace_of(cell)
        pace = paces[which]
        lengths.append(pace.left_s(state))
        note = f"  {state.note}" if state.note else ""
        yield f"{line} {pace.step_s:>8.2f} {pace.epoch_s:>8.1f} {duration(lengths[-1]):>9}{note}"
    yield from _total(plan, states, lengths)


def finish_s(lengths: list[float], slots: int) -> float:
    """Seconds until the last cell ends when each of `slots` workers takes the next one as it comes free."""
    ends = [0.0] * max(slots, 1)
    for length in lengths:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def _total(plan: Plan, states: list[State], lengths: list[float]) -> Iterator[str]:
    engine, budget = plan.spec.engine, plan.spec.budget
    failed = sum(state.phase == "failed" for state in states)
    if failed:
        yield f"{failed} failed before; --retry-failed runs them again (their time is not in the total)"
    if not lengths:
        yield "nothing to run"
        return
    slots, where = (engine.jobs, f"local, {engine.jobs} at a time") if engine.name == "local" else _ray_slots(plan)
    yield (
        f"{len(lengths)} of {len(states)} cells to run, {duration(sum(lengths))} of work; engine {where}: "
        f"about {duration(finish_s(lengths, slots))}"
    )
    yield (
        f"measured here ({budget.device}, {budget.threads} of {os.cpu_count()} cores a cell): {TIMED} steps after "
        f"{WARMUP}, batch {budget.batch}, {budget.imgsz} px, and single evaluation images. Not in it: reading and "
        "augmenting images, NMS and metrics, other work on the machine."
    )


def _ray_slots(plan: Plan) -> tuple[int, str]:
    """How many cells the cluster holds at once."""
    from experiments.run.engines.on_ray import connected, resources

    engine: Engine = plan.spec.engine
    needs = resources(engine, plan.spec.budget.device, plan.spec.budget.threads)
    with connected(engine) as ray:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    per_node = [
        min(
            int(node.get(kind, 0) / need)
            for kind, need in (("CPU", needs["num_cpus"]), ("GPU", needs["num_gpus"]))
            if need
        )
        for node in nodes
    ]
    return sum(per_node), f"ray, {sum(per_node)} at a time on {len(nodes)} node(s)"
