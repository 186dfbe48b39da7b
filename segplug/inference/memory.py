"""Memory that a tile leaves stays with the process for the next one."""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as glibc's malloc.h numbers them
_LARGEST = 1 << 30


def keep_freed_memory() -> None:
    """Raise glibc's thresholds for this process; nothing where the C library is another.

    Its malloc gives blocks from 128 kB to 32 MB up back to the system at once, and every tile faults the same pages in
    anew: a quarter of the time of GBCNet on a tile of 1024 px (docs/speed.md).
    """
    if platform.libc_ver()[0] == "glibc":
        c_library = ctypes.CDLL(None)
        c_library.mallopt(_MMAP_THRESHOLD, _LARGEST)
        c_library.mallopt(_TRIM_THRESHOLD, _LARGEST)
