"""Cracks as outlines along pixel edges, as GeoJSON and as COCO annotations."""
