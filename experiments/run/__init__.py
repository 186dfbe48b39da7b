"""Cells run, wherever: planned, claimed, watched, timed."""
