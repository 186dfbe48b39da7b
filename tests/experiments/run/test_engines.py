"""Processes and Ray run the same cells as one process does; workers and nodes that die cost an epoch, not a result."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.cells.cell import Cell
from experiments.cells.ledger import read_state
from experiments.cells.lock import owner_of
from experiments.cells.storage import StorageFull
from experiments.cli import main
from experiments.errors import SpecError
from experiments.run.engines.on_ray import require_ray, resources
from experiments.run.engines.pool import Outcome, run_in_pool
from experiments.run.job import Job
from experiments.run.plan import plan
from experiments.run.run import run
from experiments.spec.budget import Engine
from experiments.tasks import TASKS

sys.path.insert(0, str(Path(__file__).parent))
import stepwise


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four cells of ten epochs."""
    (tmp_path / "data").mkdir()
    monkeypatch.setitem(TASKS, "detect", replace(TASKS["detect"], trainers={"yaml": "stepwise"}))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr("experiments.run.engines.pool.POLL_S", 0.05)
    path = tmp_path / "spec.yaml"
    path.write_text(stepwise.SPEC.format(models="[a.yaml, b.yaml, c.yaml, d.yaml]", epochs=10))
    return path


class FakePool:
    """Workers whose every start ends as told: `fates` by cell, one after the other, "ran" in the end."""

    def __init__(self, fates: dict[str, list[str]]) -> None:
        self.fates, self.started = fates, [""][:0]
        self.running: list[Job] = []

    @property
    def busy(self) -> bool:
        return bool(self.running)

    @property
    def free(self) -> bool:
        return len(self.running) < 2

    def start(self, job: Job) -> None:
        self.started.append(job.cell.key)
        self.running.append(job)

    def wait(self, seconds: float) -> list[tuple[Job, Outcome]]:
        ended, self.running = self.running, []
        return [(job, self._fate(job)) for job in ended]

    def _fate(self, job: Job) -> Outcome:
        fate = (self.fates.get(job.cell.key) or ["ran"]).pop(0)
        if fate == "ran":
            (job.cell.folder / "row.json").write_text("{}")
        return Outcome(fate, "killed by SIGKILL")


@pytest.fixture
def jobs(spec: Path, tmp_path: Path) -> list[Job]:
    made = [Job(cell, "stepwise") for cell in plan(spec, tmp_path, tmp_path / "out").cells]
    for job in made:
        job.cell.folder.mkdir(parents=True)
    return made


def test_a_worker_that_dies_is_replaced(jobs: list[Job]) -> None:
    pool = FakePool({"a-data-s0": ["died", "died"], "b-data-s0": ["held"]})
    run_in_pool(jobs, pool, retries=2)
    assert [pool.started.count(job.cell.key) for job in jobs] == [3, 2, 1, 1]
    assert all((job.cell.folder / "row.json").exists() for job in jobs)


def test_a_cell_that_kills_every_worker_has_failed(jobs: list[Job]) -> None:
    pool = FakePool({"a-data-s0": ["died"] * 9})
    run_in_pool(jobs, pool, retries=2)
    assert pool.started.count("a-data-s0") == 3
    state = read_state(jobs[0].cell.folder, 10)
    assert state.phase == "failed" and "died 3 times" in state.note and "SIGKILL" in state.note
    assert all((job.cell.folder / "row.json").exists() for job in jobs[1:])


def test_no_room_stops_the_pool(jobs: list[Job]) -> None:
    pool = FakePool({"a-data-s0": ["full"]})
    with pytest.raises(StorageFull):
        run_in_pool(jobs, pool, retries=2)
    assert len(pool.started) == 2


def test_what_a_cell_reserves() -> None:
    assert resources(Engine("ray"), "cpu", 3) == {"num_cpus": 3, "num_gpus": 0}
    assert resources(Engine("ray"), "0", 2) == {"num_cpus": 2, "num_gpus": 1}
    assert resources(Engine("ray", cpus=1, gpus=0.5), "0", 2) == {"num_cpus": 1, "num_gpus": 0.5}


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("{name: rya}", r"spec.yaml:\d+: engine.name: .*did you mean ray"),
        ("{name: ray, gpus: 0.5}", r"spec.yaml:\d+: engine.gpus: .*budget.device is cpu"),
        ("{name: ray, gpus: 1.5}", r"gpus: must be a share of one GPU or a whole number, got 1.5"),
        ("{gpus: 0.5, address: auto}", r"engine.gpus: .*no effect on engine local \(valid: jobs, name, retries\)"),
        (
            "{name: ray, jobs: 4}",
            r"engine.jobs: .*no effect on engine ray \(valid: address, cpus, gpus, name, retries\)",
        ),
        ("{jobs: 0}", r"jobs: must be at least 1, got 0"),
        ("{jbos: 2}", r"engine.jbos: is no setting here; did you mean jobs"),
    ],
)
def test_refused(spec: Path, tmp_path: Path, engine: str, words: str) -> None:
    spec.write_text(f"{spec.read_text()}engine: {engine}\n")
    with pytest.raises(SpecError, match=words):
        plan(spec, tmp_path, tmp_path / "out")


def test_another_engine_on_the_command_line_takes_its_own_keys_alone(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec.write_text(f"{spec.read_text()}engine: {{name: ray, cpus: 4, retries: 7}}\n")
    command, started = ["run", str(spec), "--data-root", str(tmp_path), "--out", str(tmp_path / "out")], [Engine()][:0]
    monkeypatch.setattr("experiments.run.run.run_jobs", lambda jobs, engine: started.append(engine))
    assert main([*command, "--engine", "local"]) == 0 and main([*command, "--cpus-per-cell", "2"]) == 0
    assert started == [Engine(retries=7), Engine("ray", cpus=2, retries=7)]
    assert main([*command, "--jobs", "2"]) == 2
    assert "experiments: engine.jobs: has no effect on engine ray" in capsys.readouterr().err


def test_without_ray_one_clear_message(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SpecError, match=r"Ray is not installed; pip install -e \"\.\[cluster\]\""):
        run(spec, tmp_path, tmp_path / "out", str, Engine("ray"))


@pytest.mark.slow
def test_processes_and_one_killed(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWISE_S", "0.2")
    out, victims = tmp_path / "out", []
    killer = threading.Thread(target=lambda: victims.append(_kill_one_at_work(out / "cells", 10)))
    killer.start()
    assert run(spec, tmp_path, out, print, Engine(jobs=2)) == 0
    killer.join()
    _check_all(out, victims[0])


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two Ray nodes on this machine; `cluster.second` may be removed."""
    ray = require_ray()
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.second = made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_all_results_arrive_though_a_node_is_removed(
    spec: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    spec.write_text(spec.read_text().replace("epochs: 10", "epochs: 60"))
    cells = [out / "cells" / f"{name}-data-s0" for name in "abcd"]

    def remove_when_both_work() -> None:
        _wait_for(lambda: sum(read_state(cell, 60).phase == "running" for cell in cells) == 2)
        _wait_for(lambda: all(s.epochs >= 2 for s in (read_state(c, 60) for c in cells) if s.phase == "running"))
        cluster.remove_node(cluster.second, allow_graceful=False)

    remover = threading.Thread(target=remove_when_both_work)
    remover.start()
    assert run(spec, tmp_path, out, print, Engine("ray", address=cluster.address)) == 0
    remover.join()
    moved = 0
    for cell in cells:
        epochs = [epoch for epoch, _ in stepwise.trained(cell)]
        assert sorted(set(epochs)) == list(range(1, 61)) and len(epochs) <= 61
        assert read_state(cell, 60).phase == "done"
        moved += len({process for _, process in stepwise.trained(cell)}) == 2
    assert moved == 1  # the cell of the lost node, and it alone


@pytest.mark.slow
def test_ray_of_its_own_and_a_worker_killed(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWISE_S", "0.2")
    out, victims = tmp_path / "out", []
    killer = threading.Thread(target=lambda: victims.append(_kill_one_at_work(out / "cells", 10)))
    killer.start()
    assert run(spec, tmp_path, out, print, Engine("ray")) == 0
    killer.join()
    _check_all(out, victims[0])


def _kill_one_at_work(cells: Path, total: int) -> str:
    """kill -9 of the first process seen with three epochs done; its cell."""

    def at_work() -> list[Path]:
        found = list(cells.iterdir()) if cells.exists() else []
        return [cell for cell in found if 3 <= read_state(cell, total).epochs < total and owner_of(cell)]

    _wait_for(lambda: bool(at_work()))
    victim = at_work()[0]
    owner = owner_of(victim)
    assert owner
    os.kill(owner.pid, signal.SIGKILL)
    return victim.name


def _check_all(out: Path, killed: str) -> None:
    """Every epoch of every cell, the killed one's at most one twice and by two processes."""
    for cell in (out / "cells").iterdir():
        epochs, processes = zip(*stepwise.trained(cell), strict=True)
        assert sorted(set(epochs)) == list(range(1, 11)) and len(epochs) <= 11
        assert len(set(processes)) == (2 if cell.name == killed else 1)
        assert read_state(cell, 10).phase == "done"


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited 120 s"
        time.sleep(0.05)


def test_identity_does_not_know_the_engine(spec: Path, tmp_path: Path) -> None:
    cells: list[Cell] = []
    for engine in (Engine(), Engine("ray", cpus=2), Engine(jobs=4)):
        cells.append(plan(spec, tmp_path, tmp_path / "out", engine).cells[0])
    assert cells[0].identity == cells[1].identity == cells[2].identity
