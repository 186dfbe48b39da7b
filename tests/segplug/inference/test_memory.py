"""What a tile leaves is there for the next one."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from segplug.inference.memory import keep_freed_memory
keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(64 << 20, dtype=np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc")
def test_a_freed_block_is_not_faulted_in_again() -> None:
    shown = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    first, second = map(int, shown.split())
    assert first > 20 and second < first / 10, shown


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from segplug.inference import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("it was touched"))
    memory.keep_freed_memory()
