"""Workers as tasks of a Ray cluster, on whatever node has the CPUs and the share of a GPU that a cell asks for.

Ray only finds the place. Results, epochs and locks are in the run's folder, which all nodes see under the same path; so
a lost worker, node or head costs at most an epoch of each cell that it ran, and the next `run` goes on from the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.errors import SpecError
from experiments.run.engines.pool import Outcome, outcome_of
from experiments.run.job import Job
from experiments.spec.budget import Engine

_SOURCE = Path(__file__).resolve().parents[3]
_PASSED_ON = ("YOLO_CONFIG_DIR", "YOLO_OFFLINE", "OMP_WAIT_POLICY", "MLFLOW_TRACKING_URI", "WANDB_MODE")


class RayTasks:
    """One task a cell; Ray queues what has no room yet."""

    def __init__(self, ray: Any, options: dict[str, float]) -> None:
        self.ray = ray
        self.remote = ray.remote(**options, max_retries=0, max_calls=1)(_work)  # a fresh process for each cell
        self.running: dict[Any, Job] = {}

    @property
    def busy(self) -> bool:
        return bool(self.running)

    @property
    def free(self) -> bool:
        return True

    def start(self, job: Job) -> None:
        self.running[self.remote.remote(job)] = job

    def wait(self, seconds: float) -> list[tuple[Job, Outcome]]:
        if not self.running:
            return []
        ready, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=seconds)
        return [(self.running.pop(task), self._outcome(task)) for task in ready]

    def _outcome(self, task: Any) -> Outcome:
        try:
            return Outcome(*self.ray.get(task))
        except self.ray.exceptions.RayError as error:  # the process, its node or its memory is gone
            return Outcome("died", str(error).strip() or type(error).__name__)


@contextmanager
def on_ray(jobs: list[Job], engine: Engine) -> Iterator[RayTasks]:
    """Tasks on the cluster. Those still running at the end are stopped and give their cells back."""
    budget = jobs[0].cell.spec.budget
    with connected(engine) as ray:
        tasks = RayTasks(ray, resources(engine, budget.device, budget.threads))
        try:
            yield tasks
        finally:
            running = list(tasks.running)
            for task in running:
                ray.cancel(task, force=False)  # as Ctrl-C
            if running:
                ray.wait(running, num_returns=len(running), timeout=30)


@contextmanager
def connected(engine: Engine) -> Iterator[Any]:
    """Ray, with the cluster at `engine.address` (or RAY_ADDRESS), else with one of its own on this machine.

    Raises SpecError when Ray is missing or no cluster answers.
    """
    ray = require_ray()
    address = engine.address or os.environ.get("RAY_ADDRESS")
    own = not ray.is_initialized()
    if own:
        options: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            ray.init(
                address=address,
                runtime_env={"env_vars": _environment()},
                log_to_driver=False,
                logging_level="warning",
                **options,
            )
        except ConnectionError as error:
            raise SpecError(f"engine.address: no Ray cluster at {address!r}: {error}") from error
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()


def require_ray() -> Any:
    """The package. Raises SpecError when it is not installed."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise SpecError('engine: Ray is not installed; pip install -e ".[cluster]", or use --engine local') from error
    return ray


def resources(engine: Engine, device: str, threads: int) -> dict[str, float]:
    """What one cell reserves on its node."""
    gpus = (0 if device == "cpu" else 1) if engine.gpus is None else engine.gpus
    return {"num_cpus": threads if engine.cpus is None else engine.cpus, "num_gpus": gpus}


def _work(job: Job) -> tuple[str, str]:
    if job.cell.spec.budget.device != "cpu":
        import torch

        torch.cuda.init()  # before older Ultralytics sets CUDA_VISIBLE_DEVICES anew: Ray has chosen the GPU
    kind, text = outcome_of(job)
    return kind, text


def _environment() -> dict[str, str]:
    path = os.pathsep.join(part for part in (str(_SOURCE), os.environ.get("PYTHONPATH")) if part)
    return {"PYTHONPATH": path} | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
