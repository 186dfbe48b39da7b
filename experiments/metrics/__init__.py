"""The numbers of a row: COCO AP, error types, cost."""
