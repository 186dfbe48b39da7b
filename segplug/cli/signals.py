"""Ctrl-C and SIGTERM end a command with one line and the exit code of a shell, 130 and 143."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["run_stoppable"]

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


def run_stoppable(command: str, run: Callable[[], int], advice: str) -> int:
    """The exit code of `run()`. advice: printed after the reason when a signal ends it, such as how to go on."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        return run()
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before: dict[int, Any] = {number: signal.signal(number, stop) for number in NAMES}
    try:
        return run()
    except (KeyboardInterrupt, SystemExit):  # the latter is what Lightning makes of the former
        if not received:
            raise
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"segplug {command}: stopped by {NAMES[signal.Signals(received[0])]}{advice}", file=sys.stderr)
        return 128 + received[0]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
