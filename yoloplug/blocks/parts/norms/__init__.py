"""Normalisations that torch.nn lacks, or has with another behaviour."""
