"""All of docs/speed.md's measurements, each in a process of its own: `python -m experiments.speed`."""

import argparse
import subprocess
import sys

from experiments.speed.results import TABLES

parser = argparse.ArgumentParser(prog="python -m experiments.speed", description=(__doc__ or "").split(":")[0])
parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES), metavar="TABLE", help=", ".join(TABLES))
sys.exit(max(subprocess.call([sys.executable, "-m", f"experiments.speed.{name}"]) for name in parser.parse_args().only))
