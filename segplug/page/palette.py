"""Every colour of ours, for pages, overlays and plots. `#rrggbb`; `rgb` gives the numbers.

Outcomes and series are told apart by colour-blind readers, on light and on dark ground.
"""

HIT, MISS, FALSE_ALARM = "#00A878", "#3A86FF", "#FF6B35"
OUTCOMES = {"hit": HIT, "miss": MISS, "false alarm": FALSE_ALARM}
UNLABELLED = "#464646"
CRACK = "#E61E1E"
OUTLINE, CENTRE_LINE, WIDEST = "#FFD200", "#00C8FF", "#FF3CC8"
SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
"""Okabe and Ito's."""
LIGHT = {"ground": "#fdfdfc", "ink": "#1f2933", "faint": "#5d6875", "line": "#d9dee4", "panel": "#f2f4f6",
         "warn": "#8a4b00", "warn-ground": "#fff4e0"}  # fmt: skip
DARK = {"ground": "#14181d", "ink": "#d8dee9", "faint": "#93a0ae", "line": "#313a45", "panel": "#1c2229",
        "warn": "#ffcf8a", "warn-ground": "#33260f"}  # fmt: skip
"""The style sheet's variables."""


def rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
