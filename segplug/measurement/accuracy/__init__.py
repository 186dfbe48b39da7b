"""The self-check: how far measured width and length lie from those of drawn cracks."""
