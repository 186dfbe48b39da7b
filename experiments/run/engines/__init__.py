"""Where cells run. An engine only starts workers; what has been done is read from the folder, never from an engine."""

from experiments.run.job import Job, work
from experiments.spec.budget import Engine

__all__ = ["run_jobs"]


def run_jobs(jobs: list[Job], engine: Engine) -> None:
    """Run the jobs to their end, each finished or failed. Raises StorageFull, and SpecError without the engine."""
    if not jobs:
        return
    if engine.name == "ray":
        from experiments.run.engines.on_ray import on_ray
        from experiments.run.engines.pool import run_in_pool

        with on_ray(jobs, engine) as cluster:
            run_in_pool(jobs, cluster, engine.retries)
    elif engine.jobs > 1:
        from experiments.run.engines.pool import run_in_pool
        from experiments.run.engines.processes import processes

        with processes(engine.jobs) as pool:
            run_in_pool(jobs, pool, engine.retries)
    else:
        work(jobs)
