"""The most memory that a training took: the GPU's where there is one, else the process's."""

from pathlib import Path

import torch

__all__ = ["PeakMemory"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


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

    def summary(self) -> dict[str, int]:
        """`peak_memory_bytes`, tensors on the GPU or resident memory of the process; empty where neither is told."""
        if self._cuda is not None:
            return {"peak_memory_bytes": torch.cuda.max_memory_allocated(self._cuda)}
        if not self._told:
            return {}
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
        peak_kib = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
        return {"peak_memory_bytes": int(peak_kib) * 1024} if peak_kib else {}
