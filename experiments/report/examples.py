"""Images side by side: where a model gains or loses most against the baseline, and the easiest and the hardest."""

from dataclasses import dataclass
from statistics import mean

from experiments.evidence import Panels, evidence_of
from experiments.evidence.pictures import KEPT
from experiments.report.comparison import Comparison

_LEAST = 0.005  # what two digits show
ImageScores = dict[str, dict[int, dict[int, float]]]  # label -> seed -> index of the image -> score


@dataclass(frozen=True)
class Choice:
    """One image of the evaluation set, by its index, and why it is shown."""

    index: int
    reasons: list[str]


@dataclass(frozen=True)
class Example:
    """One image: its name, why it is shown, and captions with JPEG bytes, the target first."""

    name: str
    reasons: list[str]
    panels: list[tuple[str, bytes]]


def examples(comparison: Comparison) -> list[Example]:
    """Images that `choose` picks, drawn for each model's first seed; without the cells that lack a file of it."""
    scores: ImageScores = {}
    first: dict[str, Panels] = {}
    for label in comparison.labels:
        for row in comparison.of(label):
            panels = evidence_of(comparison.task).open_panels(row, comparison.folders[row["cell"]])
            if panels is not None:
                scores.setdefault(label, {})[row["seed"]] = panels.scores
                first.setdefault(label, panels)
    shown = []
    for choice in choose(comparison, scores):
        any_cell, name = next(iter(first.values())), comparison.task.score[0]
        drawn = [("Ground truth", any_cell.panel(choice.index, target=True))]
        for label, panels in first.items():
            caption = f"{label}, {name} {panels.scores[choice.index]:.2f}"
            drawn.append((caption, panels.panel(choice.index, target=False)))
        shown.append(Example(any_cell.names[choice.index], choice.reasons, drawn))
    return shown


def how_chosen(comparison: Comparison) -> str:
    """What the scores mean, and which images could have been chosen."""
    return (
        f"Chosen by result: for each model the image where it gains and where it loses most against the baseline, mean "
        f"over shared seeds, and the images that are easiest and hardest for all. Score: "
        f"{comparison.task.score[1]}; 1 where there is nothing to find and nothing found. Drawn: first seed. "
        f"Candidates: the evaluation set, of more than {KEPT} images {KEPT} spread evenly. Such extremes show what can "
        "happen, not what is usual."
    )


def choose(comparison: Comparison, scores: ImageScores) -> list[Choice]:
    """Largest gain and loss of each model (mean over the seeds it shares with the baseline), easiest, hardest."""
    reasons: dict[int, list[str]] = {}
    base = scores.get(comparison.baseline, {})
    for label in comparison.labels:
        seeds = sorted(scores.get(label, {}).keys() & base.keys())
        if label == comparison.baseline or not seeds:
            continue
        apart = {i: mean(scores[label][seed][i] - base[seed][i] for seed in seeds) for i in base[seeds[0]]}
        for word, index in (("gain", max(apart, key=apart.__getitem__)), ("loss", min(apart, key=apart.__getitem__))):
            if abs(apart[index]) >= _LEAST and (apart[index] > 0) == (word == "gain"):
                reasons.setdefault(index, []).append(f"largest {word} of {label}, {apart[index]:+.2f}")
    every = [run for runs in scores.values() for run in runs.values()]
    middle = {i: mean(run[i] for run in every) for i in (every[0] if every else {})}
    if middle:
        for word, pick in (("hardest", min), ("easiest", max)):
            index = pick(middle, key=middle.__getitem__)
            reasons.setdefault(index, []).append(f"{word} for all models, {middle[index]:.2f}")
    return [Choice(index, why) for index, why in reasons.items()]
