"""What a trained network is worth after its rows were changed, before any training."""
