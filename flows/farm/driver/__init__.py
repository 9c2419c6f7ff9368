"""One submitted manifest: which pairs are tried, where and how often. Renders nothing itself."""
