"""What all HTML pages share: a frame, parts, one style sheet for light and dark, and the palette of every picture."""
