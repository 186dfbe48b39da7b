"""`python -m experiments run`: its options, laid over the spec, and the run or its dry form."""

import argparse
from dataclasses import replace
from pathlib import Path

from experiments.errors import SpecError
from experiments.spec.budget import Engine
from experiments.spec.read import read_spec
from experiments.spec.spec import LOGGERS
from segplug.settings import SettingError

_ENGINE_OPTIONS = {
    "engine": "name",
    "jobs": "jobs",
    "cpus_per_cell": "cpus",
    "gpus_per_cell": "gpus",
    "retries": "retries",
    "address": "address",
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("spec", type=Path, help="YAML file: models, datasets, seeds, budget")
    command.add_argument("--out", type=Path, help="folder of the results (default: runs/experiments/<name>)")
    command.add_argument(
        "--data-root", type=Path, default=Path(), help="where the spec's relative dataset paths start (default: here)"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="check all, time steps of each model, list the cells, write nothing"
    )
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CELL",
        help="this cell alone, as --dry-run names it; * and ? stand for any letters; may be given several times",
    )
    command.add_argument("--retry-failed", action="store_true", help="try again what failed in an earlier run")
    command.add_argument(
        "--logger",
        action="append",
        choices=LOGGERS,
        default=[],
        help="also log to it, through Ultralytics' and Lightning's own integrations; may be given several times",
    )
    where = command.add_argument_group("engine", "where cells run; instead of the spec's `engine`")
    where.add_argument("--engine", choices=("local", "ray"), help="this machine, or a Ray cluster (default: local)")
    where.add_argument("--jobs", type=int, help="local: cells at a time, each in its own process (default: 1)")
    where.add_argument("--cpus-per-cell", type=float, help="ray: CPUs that a cell reserves (default: budget.threads)")
    where.add_argument(
        "--gpus-per-cell", type=float, help="ray: GPUs that a cell reserves, such as 0.5 (default: 1, on the CPU 0)"
    )
    where.add_argument("--retries", type=int, help="how often a cell whose process died is taken up again (default: 3)")
    where.add_argument("--address", help="ray: the cluster, auto or HOST:PORT (default: a Ray on this machine)")


def run(given: argparse.Namespace) -> int:
    """Exit code: 1 when a cell has failed."""
    spec = read_spec(given.spec)
    out = given.out or Path("runs") / "experiments" / spec.spec.name
    engine, loggers = _engine(spec.spec.engine, given), tuple(dict.fromkeys(given.logger))
    if given.dry_run:
        from experiments.run.dry_run import dry_run
        from experiments.run.plan import plan

        for line in dry_run(plan(spec, given.data_root, out, engine, loggers, given.only)):
            print(line, flush=True)
        return 0
    from experiments.run.run import run as run_spec

    failed = run_spec(
        spec, given.data_root, out, None, engine, loggers, retry_failed=given.retry_failed, only=given.only
    )
    if failed:
        print(f"{failed} cell(s) failed; error.json in their folders says why, --retry-failed runs them again")
        return 1
    print(f"done; now: python -m experiments report {out}")
    return 0


def _engine(engine: Engine, given: argparse.Namespace) -> Engine:
    """The spec's engine with what the command line says instead; of another engine's keys, the retries alone."""
    changes = {name: getattr(given, option) for option, name in _ENGINE_OPTIONS.items()}
    if given.engine not in (None, engine.name):
        engine = Engine(retries=engine.retries)
    try:
        return replace(engine, **{name: value for name, value in changes.items() if value is not None})
    except SettingError as error:
        raise SpecError(error.problem, ("engine", *error.key)) from error
