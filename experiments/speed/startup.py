"""How long a command takes to answer: `python -m experiments.speed.startup`.

CPU seconds of the whole process, user and system; the median of some runs after one that fills the caches. Writes
experiments/results/speed/startup.json and the table of docs/speed.md.
"""

import argparse
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import torch

from experiments.speed.results import record

COMMANDS = {
    "yoloplug --help": 0.3,
    "segplug --help": 0.3,
    "python -m experiments --help": 0.3,
    "yoloplug blocks": 0.5,
    "yoloplug show gnConv": 0.5,
    "segplug models": 0.5,
}
"""Command -> the seconds that it may take."""


def cpu_s(command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program, *arguments = command.split()
    subprocess.run([Path(sys.executable).with_name(program), *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    torch.set_num_threads(1)
    rows = []
    for command, wanted in COMMANDS.items():
        seconds = [cpu_s(command) for _ in range(runs + 1)][1:]
        rows.append({"command": command, "cpu_s": round(statistics.median(seconds), 3), "wanted_s": wanted})
        print(rows[-1], flush=True)
    record("startup", rows, key=lambda row: row["command"])


if __name__ == "__main__":
    main()
