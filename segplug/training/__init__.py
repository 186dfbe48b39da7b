"""Train a network: settings, crops, epochs, checkpoints."""
