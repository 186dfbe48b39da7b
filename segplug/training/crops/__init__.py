"""What the network is trained on: square crops, augmented."""
