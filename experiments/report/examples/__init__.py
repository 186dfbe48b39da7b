"""Images side by side: which are shown, and how they are drawn."""
