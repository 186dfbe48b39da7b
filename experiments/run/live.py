"""What a run shows, read from its folder: a table that redraws itself on a terminal, elsewhere a line an event."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from experiments.cells.ledger import State, duration
from experiments.run.plan import Plan

__all__ = ["is_live", "lines", "summary", "table", "watching"]

_EVERY_S = 2.0


@contextmanager
def watching(plan: Plan, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Show how the plan's cells come along while the block runs. `say` takes the lines instead of standard output."""
    stream = sys.stdout  # kept: cells redirect it into their log
    view: _Table | _Lines
    if say is None and is_live(stream):
        view = _Table(plan, stream)
    else:
        view = _Lines(plan, say or (lambda text: print(text, file=stream, flush=True)))
    end = threading.Event()

    def follow() -> None:
        while not end.wait(_EVERY_S):
            view.update()

    thread = threading.Thread(target=follow, daemon=True, name="view")
    view.update()
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        view.update()


def is_live(stream: TextIO) -> bool:
    """A terminal in front of a person; CI sets CI."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


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


def table(states: list[State], rows: int) -> list[str]:
    """At most `rows` lines: running cells first, then those to come, then the ended ones."""
    order = ("running", "failed", "to resume", "to run", "diverged", "done")
    shown = sorted(states, key=lambda state: order.index(state.phase))
    width = max(len(state.key) for state in states)
    text = [f"{'cell':<{width}}  {'state':<9}  {'epoch':>9}  {'s/epoch':>8}  {'left':>9}"]
    for state in shown[: rows - 2 if len(shown) > rows - 1 else None]:
        pace = "" if state.epoch_s is None else f"{state.epoch_s:.1f}"
        left = "" if state.left_s is None or state.ended else duration(state.left_s)
        note = "" if state.phase == "running" else state.note
        epochs = f"{state.epochs}/{state.total}"
        text.append(f"{state.key:<{width}}  {state.phase:<9}  {epochs:>9}  {pace:>8}  {left:>9}  {note}".rstrip())
    if len(shown) > rows - 1:
        text.append(f"and {len(shown) - rows + 2} more")
    return text


class _Lines:
    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan, self.say = plan, say
        self.before: dict[str, State] = {}

    def update(self) -> None:
        for state in self.plan.states:
            for line in lines(self.before.get(state.key), state):
                self.say(line)
            self.before[state.key] = state


class _Table:
    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self.plan, self.stream = plan, stream
        self.drawn = 0

    def update(self) -> None:
        states, size = self.plan.states, shutil.get_terminal_size()
        text = [f"{self.plan.spec.name}: {summary(states)}", *table(states, size.lines - 2)]
        up = f"\x1b[{self.drawn}F" if self.drawn else ""
        body = "".join(f"\x1b[2K{line[: size.columns - 1]}\n" for line in text)
        self.stream.write(f"{up}{body}\x1b[J")
        self.stream.flush()
        self.drawn = len(text)
