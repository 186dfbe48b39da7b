"""The tasks that models are compared at: one table, in which everything that differs between them is looked up."""

from dataclasses import dataclass

__all__ = ["TASKS", "Task"]


@dataclass(frozen=True)
class Task:
    """`trainers`: kind of model (`Model.kind`) -> module, a `Trainer`. `headline`: the metric of verdicts.

    `thresholds`: keys of the protocol that have an effect.
    """

    title: str
    trainers: dict[str, str]
    headline: str
    thresholds: frozenset[str] = frozenset()


TASKS = {
    "detect": Task(
        title="object detection",
        trainers={"yaml": "experiments.trainers.yolo.detect"},
        headline="AP",
        thresholds=frozenset({"conf", "iou", "max_det"}),
    ),
    "segment": Task(
        title="crack segmentation",
        trainers={
            "yaml": "experiments.trainers.yolo.semantic",
            "architecture": "experiments.trainers.crack.segment",
        },
        headline="iou_crack",
    ),
}
