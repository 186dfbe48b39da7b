"""The centre line of a mask: thinned to a graph, smoothed to lines, and the width along them."""
