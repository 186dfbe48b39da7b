"""What is changed in the imported Ultralytics, in memory; nothing on disk."""
