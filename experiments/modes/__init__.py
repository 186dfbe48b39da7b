"""Does every mode of Ultralytics work with our blocks?

Each cell of docs/modes.md is a run of `python -m experiments.modes`.
"""
