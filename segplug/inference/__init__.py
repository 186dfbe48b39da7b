"""A trained network from a file, and the probabilities that it gives to pixels of an image of any size."""
