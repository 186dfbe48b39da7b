"""One cell, one worker, by files alone: exclusive, released, taken over from the dead, never from the living."""

import json
import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from experiments.cells import lock as locks
from experiments.cells.lock import CellLock, LockLost, owner_of


def test_second_claim_sees_the_owner_and_gets_it_after_release(tmp_path: Path) -> None:
    with CellLock(tmp_path) as first:
        assert first.mine
        with CellLock(tmp_path) as second:
            assert not second.mine and second.owner and second.owner.pid == os.getpid()
        assert owner_of(tmp_path) == second.owner
        assert str(second.owner).endswith(f"process {os.getpid()}")
    assert owner_of(tmp_path) is None
    with CellLock(tmp_path) as third:
        assert third.mine


def test_released_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), CellLock(tmp_path):
        raise ZeroDivisionError
    assert owner_of(tmp_path) is None


def _claim_and_die(folder: Path) -> None:
    CellLock(folder).__enter__()
    os._exit(9)


def test_a_dead_process_here_is_succeeded_at_once(tmp_path: Path) -> None:
    child = multiprocessing.get_context("fork").Process(target=_claim_and_die, args=(tmp_path,))
    child.start()
    child.join()
    assert json.loads((tmp_path / "lock" / "1").read_text())["pid"] == child.pid
    assert owner_of(tmp_path) is None
    with CellLock(tmp_path) as lock:
        assert lock.mine


def test_a_process_number_used_again_is_not_the_owner(tmp_path: Path) -> None:
    _write(tmp_path, started=1.0)
    assert owner_of(tmp_path) is None


def test_another_machine_lives_as_long_as_its_heartbeat(tmp_path: Path) -> None:
    claim = _write(tmp_path, machine="elsewhere", host="node7")
    with CellLock(tmp_path) as lock:
        assert not lock.mine and lock.owner and lock.owner.host == "node7"
    os.utime(claim, (time.time() - 130, time.time() - 130))
    assert owner_of(tmp_path) is None
    with CellLock(tmp_path) as lock:
        assert lock.mine


def test_heartbeat_is_renewed(tmp_path: Path) -> None:
    with CellLock(tmp_path, heartbeat_s=0.05) as lock:
        claim = tmp_path / "lock" / "1"
        os.utime(claim, (0, 0))
        end = time.monotonic() + 10
        while claim.stat().st_mtime == 0 and time.monotonic() < end:
            time.sleep(0.02)
        assert time.time() - claim.stat().st_mtime < 60
        assert lock.mine


def test_one_of_many_succeeds_a_dead_owner(tmp_path: Path) -> None:
    for round_ in range(20):
        folder = tmp_path / str(round_)
        os.utime(_write(folder, machine="elsewhere"), (0, 0))
        barrier, won = threading.Barrier(8), []

        def claim(folder: Path = folder, barrier: threading.Barrier = barrier, won: list[bool] = won) -> None:
            barrier.wait()
            lock = CellLock(folder)
            lock.__enter__()  # kept, as by a worker that goes on
            won.append(lock.mine)

        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won.count(True) == 1 and len(won) == 8


def test_who_slept_and_was_succeeded_is_told(tmp_path: Path) -> None:
    with CellLock(tmp_path) as lock:
        lock.check()
        _write(tmp_path, number=2, machine="elsewhere")
        with pytest.raises(LockLost, match="took this cell over"):
            lock.check()
    owner = owner_of(tmp_path)
    assert owner and owner.machine == "elsewhere"


def test_a_claim_cut_short_counts_until_it_is_old(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    claim = tmp_path / "lock" / "1"
    claim.touch()
    with CellLock(tmp_path) as lock:
        assert not lock.mine
    os.utime(claim, (0, 0))
    with CellLock(tmp_path) as lock:
        assert lock.mine


def test_looking_writes_nothing(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def _write(folder: Path, number: int = 1, **changes: object) -> Path:
    """A claim of this process, but for the changes."""
    (folder / "lock").mkdir(parents=True, exist_ok=True)
    claim = folder / "lock" / str(number)
    claim.write_text(json.dumps(locks._me().__dict__ | changes))
    return claim
