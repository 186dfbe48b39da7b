"""One source of each medium: a photo, a georeferenced raster, a video."""
