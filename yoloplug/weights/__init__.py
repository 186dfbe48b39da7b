"""Weights of a trained network for a network with changed rows: rows aligned, keys placed, the whole told as a table.

The face is `yoloplug.transfer`; this room knows networks as rows and keys only, Ultralytics is behind `bridge/`.
"""
