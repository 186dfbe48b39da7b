"""Model YAMLs as text and rows: checked, swapped, matched to a budget."""
