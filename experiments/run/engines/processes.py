"""Workers as processes of this machine, a fresh one for each cell: a crash or a leak of one is nobody else's."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from experiments.run.engines.pool import Outcome, outcome_of
from experiments.run.job import Job

_spawn = multiprocessing.get_context("spawn")  # a forked child of a process that used torch's threads may hang


class Processes:
    """At most `slots` at a time."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running: dict[Connection, tuple[Any, Job]] = {}

    @property
    def busy(self) -> bool:
        return bool(self.running)

    @property
    def free(self) -> bool:
        return len(self.running) < self.slots

    def start(self, job: Job) -> None:
        mine, its = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=_work, args=(job, its, os.getpid()), name=job.cell.key)
        process.start()
        its.close()  # else its death would not close the pipe
        self.running[mine] = process, job

    def wait(self, seconds: float) -> list[tuple[Job, Outcome]]:
        ended = []
        for pipe in wait(list(self.running), seconds) if self.running else ():
            assert isinstance(pipe, Connection)
            process, job = self.running.pop(pipe)
            try:
                outcome = pipe.recv()
            except EOFError:
                process.join()
                outcome = Outcome("died", _cause(process.exitcode))
            pipe.close()
            process.join()
            ended.append((job, outcome))
        return ended


@contextmanager
def processes(slots: int) -> Iterator[Processes]:
    """The pool; what still runs at the end is told to stop, and gives its cell back."""
    pool = Processes(slots)
    try:
        yield pool
    finally:
        for process, _ in pool.running.values():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)
        for process, _ in pool.running.values():
            process.join()


def _work(job: Job, pipe: Connection, parent: int) -> None:
    threading.Thread(target=_stop_with, args=(parent,), daemon=True).start()
    with suppress(KeyboardInterrupt):
        pipe.send(outcome_of(job))


def _stop_with(parent: int) -> None:
    """Without its runner a worker stops, as the whole run does without `--jobs`."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


def _cause(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}, see its message above"
