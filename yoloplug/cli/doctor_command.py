"""`yoloplug doctor`: whether the plug-in works here, and what to do where it does not."""

from __future__ import annotations

import argparse

from yoloplug.names import printable

ABOUT = "whether the plug-in works in this environment, and what to do where it does not"
EXAMPLE = "yoloplug doctor"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:
    """0 where the blocks work in every process of this environment, else 1."""
    from yoloplug.bridge.health import examined

    ill = 0
    for finding in examined():
        ill += bool(finding.remedy)
        print(printable(f"{'!!' if finding.remedy else 'ok'}  {finding.what}"))
        if finding.remedy:
            print(printable(f"    -> {finding.remedy}"))
    print("the plug-in works" if not ill else f"{ill} thing{'s' * (ill > 1)} to do")
    return int(bool(ill))
