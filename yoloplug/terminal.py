"""How a command of this project ends: its work, one line for what the user can cure, a traceback for a bug."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from yoloplug.names import printable

_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_LONGEST = 2000  # characters of an error: a name in a data file may be of any length


def add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="on an error show where it arose (also: YOLOPLUG_DEBUG=1)")


def run(
    name: str,
    command: Callable[[], int | None],
    expected: tuple[type[Exception], ...],
    debug: bool = False,
    advice: str = "",
) -> int:
    """The exit code of `command`, 0 for None.

    expected: errors that end in one line on stderr and exit code 2, or their own `exit_code`; debug: after their
    traceback. Ctrl-C and SIGTERM end in one line, with `advice` in it, such as how to go on, and 130 and 143. Whatever
    else is raised is a bug and keeps its traceback.
    """
    received: list[int] = []
    try:
        with _signals(received):
            code = command() or 0
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # `yoloplug blocks | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, SystemExit):  # the latter is what Lightning makes of the former
        if not received:
            raise
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"{name}: stopped by {_SIGNALS[signal.Signals(received[0])]}{advice}", file=sys.stderr)
        return 128 + received[0]
    except expected as error:
        if debug or os.environ.get("YOLOPLUG_DEBUG", "") not in ("", "0"):
            traceback.print_exc()
        said = printable(error)
        print(f"{name}: {said if len(said) <= _LONGEST else said[:_LONGEST] + ' …'}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))


@contextmanager
def _signals(received: list[int]) -> Iterator[None]:
    """Within it both signals are noted and raise KeyboardInterrupt."""

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    before: dict[int, Any] = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
