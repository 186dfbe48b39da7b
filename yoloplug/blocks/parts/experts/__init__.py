"""Several kernels of one convolution, mixed for each image."""
