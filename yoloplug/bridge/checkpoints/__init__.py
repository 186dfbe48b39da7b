"""Checkpoints: what one says of itself, and reading one without running code that it carries."""
