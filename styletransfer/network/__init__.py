"""VGG-19 forward and backward: layers' kernels, poolings, tiles and weights. Never a file, a URL or a picture."""
