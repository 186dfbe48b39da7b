"""Entry of `python -m experiments`."""

import os
import sys

# Before torch starts its threads: waiting ones sleep. Spinning ones made a training step take six times as long beside
# one other busy process on two cores (1170 ms against 200 ms alone; asleep 430 ms).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from experiments.cli import main

sys.exit(main())
