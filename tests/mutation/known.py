"""Errors of one place that once let every test pass, each tried again: `python tests/mutation/known.py`.

Exit code 1 where one survives, or where its line is no longer in the code: then write the error anew.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from sample import copy_of_checkout, in_fork, run_pytest

MEASURED = "segplug/measurement/test_measure_mask.py"
KNOWN = [
    ("experiments/report/tables/cost.py", "cost[key] / base[key] - 1)", "cost[key] / base[key])", "experiments/report"),
    ("segplug/metrics/metric_sum.py", "self._miou_sum += other._miou_sum", "pass", "segplug/metrics/test_metrics.py"),
    (
        "segplug/measurement/crack.py",
        "sum(c.mean_width_px * c.length_px for c in self.cracks) / self.length_px",
        "sum(c.mean_width_px for c in self.cracks) / len(self.cracks)",
        "segplug/measurement",
    ),
    (
        "segplug/measurement/mask.py",
        "centre_lines_px=tuple(points[:, ::-1]",
        "centre_lines_px=tuple(points[:, ::-1] + 1",
        "segplug/measurement",
    ),
    (
        "segplug/measurement/mask.py",
        "(widths.widest_at[1], widths.widest_at[0])",
        "(widths.widest_at[1] + 1, widths.widest_at[0])",
        "segplug/measurement",
    ),
    (
        "experiments/statistics/compared.py",
        "self._interval(label, against, self._seeds(label, metric) & self._seeds(against, metric), metric)",
        "self._interval(label, against, self._seeds(label, metric), metric)",
        "experiments/statistics",
    ),
    ("experiments/report/resampled.py", "_CLOSE = 1e-6", "_CLOSE = 0.1", "experiments/report"),
    (
        "segplug/measurement/skeleton/width_profile.py",
        "half = round(max(MIN_STRETCH_PX, rough) / step)",
        "half = round(2 * max(MIN_STRETCH_PX, rough) / step)",
        MEASURED,
    ),
    ("segplug/measurement/skeleton/width_profile.py", "ENOUGH = 0.75", "ENOUGH = 0.2", "segplug/measurement"),
    (
        "segplug/metrics/curve.py",
        "AP_BINS, dtype=np.float64)",
        "AP_BINS, dtype=np.float32)",
        "segplug/metrics/test_metrics.py",
    ),
    ("segplug/metrics/curve.py", "AP_BINS // 2 :", "AP_BINS // 2 + 1 :", "segplug/metrics/test_metrics.py"),
    (
        "yoloplug/blocks/hdc.py",
        "max(gap - 2 * rate, 2 * rate - gap, rate)",
        "max(gap - 2 * rate, rate)",
        "yoloplug/blocks/test_hdc.py",
    ),
    (
        "yoloplug/bridge/trace.py",
        "good, bad = 0, count",
        "good, bad = 0, count - 1",
        "yoloplug/bridge/test_trace.py",
    ),
]


def main() -> int:
    failures = 0
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        copy = copy_of_checkout(Path(scratch))
        for path, right, wrong, tests in KNOWN:
            file = copy / path
            source = file.read_text()
            ending = "its line is gone" if source.count(right) != 1 else ""
            if not ending:
                file.write_text(source.replace(right, wrong))
                os.utime(file, (0, len(wrong)))  # or its .pyc would be taken
                code = in_fork(lambda tests=tests: run_pytest(copy, [f"tests/{tests}"], []), copy.parent / "log", 600)
                file.write_text(source)
                ending = "survived" if code == 0 else "killed"
            failures += ending != "killed"
            print(f"{ending}: {path}: {right} -> {wrong}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
