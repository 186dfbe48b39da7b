"""`segplug check`: what a data set holds, what is wrong with it, and how to cure that."""

from segplug.data.check.report import CheckResult, check

__all__ = ["CheckResult", "check"]
