"""What inference merges: a BatchNorm into the layer before it, parallel branches into one convolution."""
