"""Sampling a map at predicted positions."""
