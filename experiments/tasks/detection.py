"""Object detection: COCO AP of boxes."""

from experiments.tasks.task import Task

DETECTION = Task(
    title="object detection",
    trainers={"yaml": "experiments.trainers.yolo.detect"},
    evidence="experiments.evidence.boxes",
    metrics=("AP", "AP50", "AP75", "AP_S", "AP_M", "AP_L", "AR100"),
    definition="COCOeval's definition; fractions from 0 to 1. AP: mean over IoU 0.50 to 0.95 and classes. "
    "AP50, AP75: at that IoU. S, M, L: objects below 32², to 96², above 96² px² in the original image. AR100: recall "
    "with 100 detections an image. Not Ultralytics' own mAP. -: no object of that size.",
    names={"AP": "COCO AP", "AP50": "AP50"},
    monitor=("metrics/mAP50-95(B)",),
    watched="val mAP50-95 (Ultralytics)",
    errors=(
        "Error types: AP50 lost to each",
        "AP50 lost to it",
        "What AP50 would gain if only the errors of one kind were repaired (TIDE, Bolya et al. 2020; boxes, IoU 0.5 "
        "and 0.1, 100 detections an image). Localisation: right class, IoU 0.1 to 0.5. Classification: wrong class, "
        "IoU 0.5 or more. Both: wrong in both. Duplicate: the object was found by a better prediction. Background: no "
        "object there. Missed: an object that no prediction was meant for. The costs overlap: they do not sum to "
        "1 - AP50.",
    ),
    score=("F1", "F1 of the boxes with confidence 0.25 or more, own class, IoU 0.5 or more"),
    thresholds=frozenset({"conf", "iou", "max_det"}),
)
