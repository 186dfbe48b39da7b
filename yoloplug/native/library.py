"""The compiled kernels in this process: found once, called by name, their work shared among threads.

A kernel is a C function of the items [begin, end) of its work, a worker's number, pointers and whole numbers; see
kernels/simd.h. Threads are Python's, whose lock is not held meanwhile: no second OpenMP runtime beside torch's.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

from yoloplug.native.build import PREBUILT, BuildError, cached


class Status(NamedTuple):
    """`path`: the library in use, None where torch computes; `reason`: where it is from, or why there is none."""

    path: Path | None
    reason: str

    def __str__(self) -> str:
        return f"native kernels: {'in use, ' if self.path else 'not in use, '}{self.reason}"


def status() -> Status:
    """Which kernels this process uses on CPUs; compiles them where that has to be done. Needs no torch."""
    return Status(None, "YOLOPLUG_NATIVE=0 turns them off") if switched_off() else _loaded()[1]


def switched_off() -> bool:
    return os.environ.get("YOLOPLUG_NATIVE", "").strip() == "0"


def available() -> bool:
    return not switched_off() and _loaded()[0] is not None


def call(name: str, items: int, threads: int, pointers: Sequence[int | None], sizes: Sequence[int]) -> None:
    """Run kernel `name` on `items` items by at most `threads` workers, numbered from 0; each gets a run of items."""
    library = _loaded()[0]
    assert library is not None
    function: Callable[..., None] = getattr(library, name)
    given = (ctypes.c_void_p * len(pointers))(*pointers), (ctypes.c_int64 * len(sizes))(*sizes)
    threads = max(1, min(threads, items))

    def work(worker: int) -> None:
        begin, end = (ctypes.c_int64(items * (worker + i) // threads) for i in (0, 1))
        function(begin, end, ctypes.c_int64(worker), *given)

    others = [_pool().submit(work, worker) for worker in range(1, threads)]
    try:
        work(0)
    finally:
        for other in others:
            other.result()


_lock = threading.Lock()


@lru_cache(maxsize=1)
def _load() -> tuple[ctypes.CDLL | None, Status]:
    """The wheel's library, else the one compiled here; a wheel's may be for another C library."""
    if PREBUILT.exists():
        with suppress(OSError):
            return ctypes.CDLL(str(PREBUILT)), Status(PREBUILT, f"as installed: {PREBUILT}")
    try:
        path = cached(user_cache_path("yoloplug") / "native")
        return ctypes.CDLL(str(path)), Status(path, f"compiled on this machine: {path}")
    except BuildError as error:
        return None, Status(None, f"torch computes instead: {error}")
    except OSError as error:
        return None, Status(None, f"torch computes instead: what was compiled does not load ({error})")


def _loaded() -> tuple[ctypes.CDLL | None, Status]:
    with _lock:  # one thread compiles, the others wait
        return _load()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="yoloplug-native")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not live on in a child
