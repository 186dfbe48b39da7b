"""Labelled photographs: where they lie, how their labels are read, how they are split and checked."""
