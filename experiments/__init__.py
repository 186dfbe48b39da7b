"""Comparisons of models under one budget: `python -m experiments run | report | demo`."""
