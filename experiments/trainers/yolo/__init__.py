"""Models that Ultralytics trains from a YAML: detection cells, and semantic ones among the crack models."""
