"""Crack segmentation: IoU of crack pixels."""

from experiments.tasks.task import Task

SEGMENTATION = Task(
    title="crack segmentation",
    trainers={
        "yaml": "experiments.trainers.yolo.semantic",
        "architecture": "experiments.trainers.crack.segment",
    },
    evidence="experiments.evidence.masks",
    metrics=("iou_crack", "miou", "f1", "precision", "recall", "iou_per_image", "ods_f1", "ois_f1", "ap"),
    thresholds=frozenset({"threshold"}),
    definition="Fractions from 0 to 1 from crack pixels, 0 px tolerance. iou_crack = TP/(TP+FP+FN), miou = mean of it "
    "and the background's IoU, f1 = 2TP/(2TP+FP+FN), precision, recall: counts summed over the whole test set at "
    "the threshold named under Predictions. iou_per_image: mean over images. ods_f1: at the one best on test; "
    "ois_f1: at each image's best; ap: area under precision over recall of pixels.",
    names={"iou_crack": "crack IoU", "f1": "F1"},
    monitor=("val_iou_crack", "metrics/mIoU"),  # Ultralytics' mIoU of one class is that class's IoU
    watched="val crack IoU",
    errors=(
        "Error types: share of the union",
        "share of target and prediction",
        "1 - iou_crack in shares of the union of target and prediction, pixels summed over the set. A wrong pixel "
        "within 2 px of the other mask makes the crack too wide (predicted) or too thin (labelled); any other is a "
        "false alarm or a missed crack.",
    ),
    score=("IoU", "IoU of the crack"),
)
