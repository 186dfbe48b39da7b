"""Models that segplug trains, and what every crack cell is scored by."""
