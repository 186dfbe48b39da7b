"""Image files: which files of a folder are images, how one is read, how one is written."""
