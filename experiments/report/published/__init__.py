"""What the repository says of its committed results: a page, README's table, one CSV."""
