"""Cells shared out to workers that may die; one that does is replaced, and its cell resumes at its last epoch."""

import time
from collections import Counter
from typing import NamedTuple, Protocol

from experiments.cells.lock import owner_of
from experiments.cells.storage import StorageFull
from experiments.run.job import POLL_S, Job, attempt, give_up


class Outcome(NamedTuple):
    """`kind`: ran (finished or failed, the folder says which), held (by another runner), full (no room), died."""

    kind: str
    text: str = ""


class Pool(Protocol):
    """Workers of one cell each."""

    @property
    def busy(self) -> bool: ...

    @property
    def free(self) -> bool: ...

    def start(self, job: Job) -> None: ...

    def wait(self, seconds: float) -> list[tuple[Job, Outcome]]:
        """The jobs that came to an end, after at most so long."""
        ...


def outcome_of(job: Job) -> Outcome:
    """What a worker does with a job."""
    try:
        return Outcome("ran" if attempt(job) else "held")
    except StorageFull as error:
        return Outcome("full", str(error))


def run_in_pool(jobs: list[Job], pool: Pool, retries: int) -> None:
    """Every job to its end. One whose worker dies more than `retries` times has failed. Raises StorageFull."""
    waiting, deaths = list(jobs), Counter[str]()
    while waiting or pool.busy:
        for job in list(waiting):
            if job.ended:
                waiting.remove(job)
            elif pool.free and owner_of(job.cell.folder) is None:
                waiting.remove(job)
                pool.start(job)
        if not pool.busy:  # all that is left is in other runners' hands
            time.sleep(POLL_S)
        for job, (kind, text) in pool.wait(POLL_S):
            if kind == "full":
                raise StorageFull(text)
            deaths[job.cell.key] += kind == "died"
            if deaths[job.cell.key] > retries:
                give_up(job, f"its worker died {deaths[job.cell.key]} times; the last time: {text}")
            elif kind != "ran":
                waiting.append(job)
