"""What models and blocks cost: time, memory, tables."""
