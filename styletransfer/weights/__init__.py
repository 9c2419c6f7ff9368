"""The network's weights from where a source says they are: a file, a URL, ImageNet's, random ones."""
