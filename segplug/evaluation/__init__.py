"""Score a checkpoint, or saved predictions, on labelled images."""
