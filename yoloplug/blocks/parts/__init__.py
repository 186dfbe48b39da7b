"""What blocks share: norms, folding, sampling, checks. No block of the catalogue."""
