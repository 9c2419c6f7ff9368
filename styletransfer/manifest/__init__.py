"""Text to checked pairs: strict YAML, the schema, ids. Never looks at what a manifest names, but for globs."""
