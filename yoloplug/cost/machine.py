"""What a measurement must say of the machine, and the most memory that something took."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def cpu_name() -> str:
    """As the maker calls the processor, where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


class PeakMemory:
    """Counts from its construction on. Without a GPU: all that the process holds, told by Linux alone."""

    def __init__(self, device: str) -> None:
        self._cuda = torch.device(device) if device.startswith("cuda") else None
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)
        try:
            _RESET.write_text("5")  # proc(5): the peak resident set starts anew
            self._told = True
        except OSError:  # no Linux, or a container that forbids it
            self._told = False

    @property
    def bytes(self) -> int | None:
        """Tensors on the GPU or resident memory of the process; None where neither is told."""
        if self._cuda is not None:
            return torch.cuda.max_memory_allocated(self._cuda)
        if not self._told:
            return None
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        peak_kib = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
        return int(peak_kib) * 1024 if peak_kib else None

    def summary(self) -> dict[str, int]:
        """`peak_memory_bytes` for a results row; empty where it is not told."""
        return {} if self.bytes is None else {"peak_memory_bytes": self.bytes}
