"""The coarse-to-fine loop: from pixels, settings and weights to a picture. Never a file, a URL or a manifest."""
