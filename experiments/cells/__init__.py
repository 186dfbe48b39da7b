"""A cell and its folder: what lies in it, who works on it, what its row says."""
