"""What each number of `segplug eval` means, in the words that its table prints."""

from segplug.metrics.curve import AP_BINS
from segplug.metrics.tolerance import TOLERANCES_PX

POOLED = "pixels of all images summed first"

# Name -> definition, in the order of printing. Class 1 is crack; 0/0 counts as 1 (nothing to find, nothing found).
DEFINITIONS: dict[str, str] = {
    "iou_crack": f"TP/(TP+FP+FN), {POOLED}",
    "miou": "mean of iou_crack and the background's IoU, same counts; all-background scores near .49",
    "f1": f"2TP/(2TP+FP+FN), {POOLED}",
    "precision": f"TP/(TP+FP), {POOLED}; 0 when only cracks were missed",
    "recall": f"TP/(TP+FN), {POOLED}; 0 when there are only false alarms",
    "iou_per_image": "mean over images of iou_crack; no crack and no prediction counts as 1",
    "miou_per_image": "mean over images of miou",
    "ods_f1": "f1 at the one threshold of .01 ... .99 that is best for the set (BSDS), 0 px tolerance",
    "ods_iou": "iou_crack at the one threshold of .01 ... .99 that is best for it",
    "ods_threshold": "the threshold of ods_f1, the lowest of equals",
    "ois_f1": "f1 from counts pooled over each image's own best threshold (BSDS), 0 px tolerance",
    "ap": f"average precision over all pixels, from {AP_BINS} equal steps of probability",
    **{
        f"f1_tol{r}px": f"F1 where a pixel within {r} px (Euclidean) of the other mask is right, {POOLED}"
        for r in TOLERANCES_PX
    },
    "cldice": "F1 of predicted skeleton (Lee) on label and labelled one on prediction, skeleton pixels summed first",
    "cldice_per_image": "mean over images of clDice; both masks empty 1, one empty 0",
    "false_line_px": "length of predicted skeleton that lies on no label, mean over images, in skeleton pixels",
    "false_alarm_share": f"FP/(FP+TN), the share of crack-free pixels that were called crack, {POOLED}",
    "hd95_px": "mean over images of the outlines' HD95 in px; both empty 0, one empty the image's diagonal",
    "hd95_px_median": "median over images of the same",
    "one_mask_empty": "images where only one of label and prediction is empty (their HD95 is the diagonal)",
    "scs_compat_ods": "SCSegamba's protocol at 512x512: best over thresholds of the mean per-image F1",
    "scs_compat_ois": "same protocol: mean of each image's best F1",
    "scs_compat_precision": "same protocol: pooled at threshold 0 of 255 logit/max(logit)",
    "scs_compat_recall": "same protocol: pooled at threshold 0",
    "scs_compat_f1": "same protocol: pooled at threshold 0",
    "scs_compat_miou": "same protocol: best over thresholds of mean per-image (IoU crack + IoU background)/2",
}
