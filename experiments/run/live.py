"""What a run shows, read from its folder: a table that redraws itself on a terminal, elsewhere a line an event."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from experiments.cells.ledger import State, duration
from experiments.run.plan import Plan

_EVERY_S = 2.0
_ORDER = ("running", "failed", "to resume", "to run", "diverged", "done")


@contextmanager
def watching(plan: Plan, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Show how the plan's cells come along while the block runs. `say` takes the lines instead of standard output."""
    console = Console(file=sys.stdout)  # this one: cells redirect it into their log
    if say is None and is_live(console):
        with Live(
            get_renderable=lambda: table(plan.spec.name, plan.states),
            console=console,
            refresh_per_second=1 / _EVERY_S,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield
        return
    before: dict[str, State] = {}
    end = threading.Event()

    def update() -> None:
        for state in plan.states:
            for line in lines(before.get(state.key), state):
                say(line) if say else print(line, file=console.file, flush=True)
            before[state.key] = state

    def follow() -> None:
        while not end.wait(_EVERY_S):
            update()

    thread = threading.Thread(target=follow, daemon=True, name="view")
    update()
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        update()


def is_live(console: Console) -> bool:
    """A terminal in front of a person; CI sets CI."""
    return console.is_interactive and not os.environ.get("CI")


def lines(before: State | None, now: State) -> list[str]:
    """What happened to a cell since `before`, None at the first look."""
    said = []
    if before is None:
        if now.phase in ("done", "diverged"):
            return [f"{now.key}: finished before, kept"]
        if now.phase == "failed":
            return [f"{now.key}: FAILED before, {now.note}; --retry-failed tries it again"]
        if now.phase == "to resume":
            return [f"{now.key}: to be resumed after epoch {now.epochs} of {now.total}"]
    if now.phase == "running" and (before is None or before.phase != "running"):
        known = now.epochs if before is None else before.epochs
        said.append(f"{now.key}: {f'goes on after epoch {known}' if known else 'starts'} ({now.note})")
    if before is not None and now.last and now.epochs > before.epochs:
        loss = "not finite" if now.last["loss"] is None else f"{now.last['loss']:.3f}"
        said.append(
            f"{now.key}  epoch {now.epochs}/{now.total}  {now.last['seconds']:.1f} s  loss {loss}  "
            f"{now.last.get('monitor', '')}  left {duration(now.left_s or 0)}"
        )
    if before is not None and now.phase != before.phase:
        if now.phase == "done":
            said.append(f"{now.key}: {now.note or 'done'}")
        elif now.phase == "diverged":
            said.append(f"{now.key}: DIVERGED, a loss was not finite{f'; {now.note}' if now.note else ''}")
        elif now.phase == "failed":
            said.append(f"{now.key}: FAILED, {now.note} (traceback in its error.json)")
    return said


def summary(states: list[State]) -> str:
    """`3 of 12 cells done, 1 failed, 2 running`"""
    done = sum(state.phase in ("done", "diverged") for state in states)
    counts = [f"{done} of {len(states)} cells done"]
    for phase in ("failed", "diverged", "running"):
        number = sum(state.phase == phase for state in states)
        counts += [f"{number} {phase}"] if number else []
    left = left_s(states)
    return ", ".join(counts) + (f", about {duration(left)} left" if left else "")


def left_s(states: list[State]) -> float | None:
    """Seconds until all training ends with as many cells at a time as now; unmeasured ones count as the mean one."""
    open_cells = [state for state in states if not state.ended]
    speeds = [state.epoch_s for state in states if state.epoch_s is not None]
    running = sum(state.phase == "running" for state in states)
    if not open_cells or not speeds or not running:
        return None
    mean = sum(speeds) / len(speeds)
    left = [(state.total - state.epochs) * (state.epoch_s or mean) for state in open_cells]
    return max(sum(left) / running, *left) if len(left) > 1 else left[0]


def table(name: str, states: list[State]) -> Group:
    """Running cells first, then those to come, then the ended ones: of more than the screen holds the last are cut."""
    shown = Table("cell", "state", box=None, padding=(0, 2, 0, 0))
    for column in ("epoch", "s/epoch", "left"):
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for state in sorted(states, key=lambda state: _ORDER.index(state.phase)):
        pace = "" if state.epoch_s is None else f"{state.epoch_s:.1f}"
        left = "" if state.left_s is None or state.ended else duration(state.left_s)
        note = "" if state.phase == "running" else state.note
        shown.add_row(state.key, state.phase, f"{state.epochs}/{state.total}", pace, left, escape(note))
    return Group(Text(f"{name}: {summary(states)}"), shown)
