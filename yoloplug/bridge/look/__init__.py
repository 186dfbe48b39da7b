"""`yoloplug look` on an Ultralytics checkpoint."""
