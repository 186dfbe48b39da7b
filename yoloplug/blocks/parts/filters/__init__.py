"""Filters that differ from pixel to pixel, or that see the whole map."""
