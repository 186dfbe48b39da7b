"""The tables of a comparison, in no format yet."""
