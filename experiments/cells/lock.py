"""One cell, one worker: a lock made of files alone, so that it holds between machines on shared storage.

Every claim is a new numbered file `lock/1`, `lock/2`, … made by exclusive creation, which NFS 3 and later keep atomic;
the highest number owns the cell. Nothing is ever deleted or renamed away, so two workers that find the same dead owner
cannot both succeed it. An owner is dead when its process is gone (same machine) or its file was not touched for
STALE_S (any other machine; both times are read from the storage's own clock).
"""

from __future__ import annotations

import json
import os
import platform
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from yoloplug.files import write_json

HEARTBEAT_S = 15.0
STALE_S = 120.0
"""Above NFS's attribute cache of 60 s, within which another machine's heartbeat may be unseen."""


class LockLost(RuntimeError):
    """Another worker took the cell over, because this one's heartbeat had stopped (a machine that slept)."""


@dataclass(frozen=True)
class Owner:
    """Who works on a cell. `machine` is host, boot and process namespace: only there does `pid` mean this process."""

    host: str
    pid: int
    started: float
    machine: str

    def __str__(self) -> str:
        return f"{self.host}, process {self.pid}"


class CellLock:
    """`with CellLock(folder) as lock:` owns the cell; `lock.owner` names the other owner where it does not."""

    def __init__(self, folder: Path, heartbeat_s: float = HEARTBEAT_S, stale_s: float = STALE_S) -> None:
        self.folder = folder / "lock"
        self.heartbeat_s, self.stale_s = heartbeat_s, stale_s
        self.owner: Owner | None = None
        self._mine: Path | None = None
        self._end = threading.Event()

    def __enter__(self) -> CellLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        number = _last(self.folder)
        self.owner = _living(self.folder / str(number), self.stale_s) if number else None
        if self.owner is None:
            claim = self.folder / str(number + 1)
            if _create(claim, json.dumps(_me().__dict__)):
                self._mine = claim
                threading.Thread(target=self._beat, daemon=True, name=f"heartbeat {claim}").start()
            else:  # another worker was quicker
                self.owner = _read(claim) or _me()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._mine:
            with suppress(OSError):  # without the mark the process' end or the silence says the same
                write_json(self._mine, {"released": True}, indent=None)

    @property
    def mine(self) -> bool:
        return self._mine is not None

    def check(self) -> None:
        """Raise LockLost when the cell is another's by now; asked before anything is written that counts."""
        if self._mine and (self.folder / str(int(self._mine.name) + 1)).exists():
            raise LockLost(f"{self.folder.parent}: another worker took this cell over")

    def _beat(self) -> None:
        assert self._mine
        while not self._end.wait(self.heartbeat_s):
            with suppress(OSError):  # storage that is away for a moment; silence for STALE_S is what counts
                os.utime(self._mine)


def owner_of(folder: Path) -> Owner | None:
    """Who works on the cell in `folder` now; writes nothing, so that a clock apart from the storage's may decide."""
    number = _last(folder / "lock")
    return _living(folder / "lock" / str(number), STALE_S, probe=False) if number else None


def _last(folder: Path) -> int:
    """The highest claim; 0 without one. A list from a cache may miss the newest, whose creation then fails."""
    if not folder.is_dir():
        return 0
    return max((int(path.name) for path in folder.iterdir() if path.name.isdigit()), default=0)


def _living(claim: Path, stale_s: float, probe: bool = True) -> Owner | None:
    """The owner named in a claim, None when it is released or dead."""
    try:
        with claim.open(encoding="utf-8") as file:  # opening makes NFS ask for the newest times
            text, beaten = file.read(), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    owner = _owner(text)
    if owner is not None and owner.machine == _machine():
        return owner if _runs(owner) else None
    if text and owner is None:
        return None  # released
    if not text:  # its maker is between creating and writing it, or died there
        owner = Owner("a starting worker", 0, 0.0, "")
    return None if _storage_now(claim.parent, probe) - beaten > stale_s else owner


def _read(claim: Path) -> Owner | None:
    try:
        return _owner(claim.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _owner(text: str) -> Owner | None:
    try:
        content: Any = json.loads(text)
    except json.JSONDecodeError:
        return None
    return None if "released" in content else Owner(**content)


def _create(claim: Path, text: str) -> bool:
    try:
        with claim.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _storage_now(folder: Path, probe: bool) -> float:
    """Seconds by the clock that stamps the heartbeats."""
    if not probe:
        from time import time

        return time()
    path = folder / f".clock-{uuid.uuid4().hex}"
    try:
        path.touch(exist_ok=False)
        return path.stat().st_mtime
    finally:
        path.unlink(missing_ok=True)


def _me() -> Owner:
    process = psutil.Process()
    return Owner(platform.node(), process.pid, process.create_time(), _machine())


def _runs(owner: Owner) -> bool:
    try:
        process = psutil.Process(owner.pid)
        return abs(process.create_time() - owner.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _machine() -> str:
    """Equal only where process ids are shared: containers of one host may carry one name."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)
