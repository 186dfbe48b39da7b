"""What a user can cure: the one kind of error that `yoloplug` answers with a line instead of a traceback."""

from __future__ import annotations


class YoloplugError(ValueError):
    """A wish that cannot be met; the message names the file or value at fault and the remedy."""
