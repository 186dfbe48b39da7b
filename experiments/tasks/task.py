"""What a task is made of: who trains and keeps, which metrics there are, and how a report speaks of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """`trainers`: kind of model (`Model.kind`) -> module, a `Trainer`. `evidence`: module, an `Evidence`.

    metrics: columns of the quality table, the first of which verdicts are about, with their `definition`. names: of
    those that a sentence, an axis or README's table shows. thresholds: keys of the protocol that have an effect.
    monitor: columns of a training's table of which the first that there is was watched after each epoch, as `watched`.
    errors: caption, axis and note of the kinds of error. score: of one image, in a caption, and its definition.
    """

    title: str
    trainers: dict[str, str]
    evidence: str
    metrics: tuple[str, ...]
    definition: str
    names: dict[str, str]
    monitor: tuple[str, ...]
    watched: str
    errors: tuple[str, str, str]
    score: tuple[str, str]
    thresholds: frozenset[str] = frozenset()

    @property
    def headline(self) -> str:
        return self.metrics[0]

    @property
    def headline_name(self) -> str:
        return self.names[self.headline]
