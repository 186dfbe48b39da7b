"""How a command of this project ends: its work, one line for what the user can cure, a traceback for a bug."""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from collections.abc import Callable

__all__ = ["add_debug", "printable", "run"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    r"""Text that cannot move the cursor or colour the screen: ESC and its like, from file names, become `\x1b`."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], str(text))


def add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="on an error show where it arose (also: YOLOPLUG_DEBUG=1)")


def run(
    name: str,
    command: Callable[[], int | None],
    expected: tuple[type[Exception], ...],
    debug: bool = False,
    stopped: str = "",
) -> int:
    """The exit code of `command`, 0 for None.

    expected: errors that end in one line on stderr and exit code 2, or their own `exit_code`; debug: after their
    traceback. Ctrl-C ends in one line, with `stopped` in it, and 130. Whatever else is raised is a bug and goes on.
    """
    try:
        code = command() or 0
        sys.stdout.flush()
    except BrokenPipeError:  # `yoloplug blocks | head`: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"{name}: stopped{stopped and f'; {stopped}'}", file=sys.stderr)
        return 130
    except expected as error:
        if debug or os.environ.get("YOLOPLUG_DEBUG", "") not in ("", "0"):
            traceback.print_exc()
        print(f"{name}: {printable(error)}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))
    return code
